"""What the control plane needs of the outside: platforms that run servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from draas.model.status import PlatformType


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: a slot of an instance with the whole document it is to run."""

    instance_id: str
    slot: str
    configuration: Mapping[str, Any]
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Running:
    """A slot that runs: `process_id` with `process_started` (epoch seconds) is its identity."""

    instance_id: str
    slot: str
    process_id: int
    process_started: float
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Exit:
    """A slot that ended without being told to; the code is `None` where it cannot be known."""

    instance_id: str
    slot: str
    process_id: int
    exit_code: int | None
    log: tuple[str, ...]


class LaunchError(Exception):
    """A slot that did not come up; nothing of it runs any more.

    `exit_code` is `None` where the process had to be ended; `log` holds its last lines,
    without secrets.
    """

    def __init__(self, reason: str, *, exit_code: int | None, log: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.log = log


class Platform(Protocol):
    """Runs slots. Every call is idempotent: it observes, then ensures."""

    type: PlatformType

    def unavailable(self) -> str | None:
        """Why nothing can be started here, or `None`."""
        ...

    async def start(self, launch: Launch) -> Running:
        """Run the slot and answer once it is ready (`GET /health` is 200).

        Raises:
            LaunchError: it ended, or was not ready in time and was ended.
        """
        ...

    async def stop(self, instance_id: str, slot: str) -> bool:
        """End the slot gracefully, then by force; whether something ran. Returns when it is gone.

        Raises:
            TimeoutError: it survived even that.
        """
        ...

    async def adopt(self, known: Running | None, instance_id: str, slot: str) -> Running | None:
        """Take over a slot that an earlier control plane started; `None` if it does not run.

        `known` is what was recorded, or `None` if the recording was lost between spawn and commit.
        """
        ...

    async def remove(self, instance_id: str) -> None:
        """Remove all that is kept for an instance: directories, configuration files, logs."""
        ...

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """Call `on_exit` for each slot that ends without `stop`, at once."""
        ...

    async def close(self) -> None:
        """Stop watching; what runs goes on."""
        ...
