"""Schema migrations of the stores."""
