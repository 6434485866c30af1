"""What the project costs: each module has `measure()` and runs by `python -m benchmarks.NAME`."""
