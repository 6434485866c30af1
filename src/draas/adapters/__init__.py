"""Outer I/O, one port each; the adapters do not know each other."""
