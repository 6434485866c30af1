"""Logs and metrics: every name once."""
