"""What Kubernetes does for the daemon; needs the extra `kubernetes`."""
