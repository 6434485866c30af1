"""Schema migrations of the control plane's store."""
