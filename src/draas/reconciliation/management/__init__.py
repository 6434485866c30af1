"""The daemon's own HTTP surface: health, metrics and the management API (S-21)."""
