"""Typed clients of the control plane and of the daemon; they decide nothing."""
