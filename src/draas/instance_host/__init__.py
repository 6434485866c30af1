"""A small server around one embedded Drasi engine, command-line compatible with drasi-server."""
