"""Run a real control plane until it is told or killed: `… DATA`; prints its URL."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from draas.control_plane.options import ApiOptions, ControlPlaneSettings
from draas.entrypoints.control_plane import run

if __name__ == "__main__":
    settings = replace(
        ControlPlaneSettings(),
        api=replace(ApiOptions(), port=0),
        monitor_interval=timedelta(milliseconds=200),
    )

    def tell(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    sys.exit(asyncio.run(run(settings, Path(sys.argv[1]), tell)))
