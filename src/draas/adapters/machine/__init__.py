"""What adapters ask of the machine they run on: its processes, ports and log files. Linux."""
