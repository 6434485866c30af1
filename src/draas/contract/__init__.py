"""The wire, written once for servers and clients."""
