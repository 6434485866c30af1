"""Stores: memory and SQL."""
