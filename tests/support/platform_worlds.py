"""Worlds for the contract of platforms: real processes, and none."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from draas.adapters.clock import SystemClock
from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.handover_client import HandoverClient
from draas.adapters.platforms.process import ProcessPlatform
from draas.control_plane.ports import Launch, Running
from draas.testing.simulated_platform import SimulatedPlatform
from tests.support.ports import free_port

TINY_SERVER = (sys.executable, str(Path(__file__).with_name("tiny_server.py")))


class ProcessWorld:
    """Servers are processes of `command` below `data`."""

    doomed_code = 3

    def __init__(self, data: Path, **options: Any) -> None:
        self._data = data
        self._options: dict[str, Any] = {"command": TINY_SERVER, "start_timeout": 20.0} | options
        self.observer = DrasiClient(SystemClock())
        self._handover = HandoverClient()
        self.platform = self.new_platform()
        self.free_port = free_port

    def new_platform(self, **options: Any) -> ProcessPlatform:
        return ProcessPlatform(self._data, self.observer, self._handover, **self._options | options)

    async def restart_control_plane(self) -> None:
        await self.platform.close()
        self.platform = self.new_platform()

    async def crash(self, running: Running) -> None:
        os.kill(running.process_id, signal.SIGKILL)

    def doomed(self, launch: Launch) -> Launch:
        return replace(
            launch, configuration={**launch.configuration, "tiny": {"exitCode": self.doomed_code}}
        )

    async def close(self) -> None:
        """End all that runs."""
        directories = [path.parent for path in self._data.glob("instances/*/*/config.json")]
        for directory in directories:
            await self.platform.stop(directory.parent.name, directory.name)
        await self.platform.close()
        await self.observer.close()
        await self._handover.close()


class SimulatedWorld:
    """Servers are values."""

    doomed_code = 3

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.platform = SimulatedPlatform(self._clock)
        self.free_port = free_port

    @property
    def observer(self) -> SimulatedPlatform:
        return self.platform

    async def restart_control_plane(self) -> None:
        await self.platform.close()
        self.platform = SimulatedPlatform(self._clock, self.platform.fleet)

    async def crash(self, running: Running) -> None:
        self.platform.crash(running.instance_id, running.slot)

    def doomed(self, launch: Launch) -> Launch:
        self.platform.fail_launches(launch.instance_id, "it will not", exit_code=self.doomed_code)
        return launch
