"""`draas up`: control plane and daemon in the foreground, as children of one process."""
