"""The command line; it talks only through clients."""
