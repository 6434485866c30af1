"""The daemon: triggers, queue, observe, decide, apply, record."""
