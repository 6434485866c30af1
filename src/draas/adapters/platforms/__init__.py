"""Platforms on which instances run."""
