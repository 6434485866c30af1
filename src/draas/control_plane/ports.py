"""What the control plane needs of the outside: platforms that run servers, and a look at these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from draas.decide.hot_apply import Step
from draas.model.status import Health, PlatformType


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: a slot of an instance with the whole document it is to run.

    `host` and `port` are those of the slot and win over the document's. Documents hold secrets:
    `repr` leaves them out. With `follow`, the URL of the slot that leads, it begins with the data
    of that one and goes on with what that one gets, its webhooks and logs held.
    """

    instance_id: str
    slot: str
    configuration: Mapping[str, Any] = field(repr=False)
    host: str
    port: int
    follow: str = ""


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
    """A slot that ended without being told to; `log` holds its last lines, without secrets.

    `exit_code` is negative where a signal ended it, and `None` where it cannot be known: only the
    process that started another one learns its code.
    """

    instance_id: str
    slot: str
    process_id: int
    exit_code: int | None
    log: tuple[str, ...]


class LaunchError(Exception):
    """A slot that did not come up; nothing of it runs any more.

    `exit_code` is `None` where nothing was started or the process had to be ended, and negative
    where a signal ended it; `log` holds its last lines, without secrets.
    """

    def __init__(
        self, reason: str, *, exit_code: int | None = None, log: tuple[str, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.log = log


class SlotOccupiedError(Exception):
    """The slot already runs, with another launch; it goes on, untouched, as `running`."""

    def __init__(self, running: Running) -> None:
        super().__init__(
            f"slot {running.slot!r} of instance {running.instance_id!r} already runs as process "
            f"{running.process_id} on port {running.port} with another launch; stop it first"
        )
        self.running = running


class Platform(Protocol):
    """Runs slots. Every call is idempotent: it observes, then ensures."""

    type: PlatformType

    def unavailable(self) -> str | None:
        """Why nothing can be started here, or `None`."""
        ...

    async def start(self, launch: Launch) -> Running:
        """Run the slot and answer once it is ready (`GET /health` is 200, and it is this instance).

        A slot that already runs with an identical launch is answered as it is. What a stop has
        kept of the instance's data is there again, unless it follows another slot.

        Raises:
            LaunchError: it could not be started, ended, or was not ready in time and was ended.
            SlotOccupiedError: it already runs with another launch.
            TimeoutError: it failed, and survived being killed.
        """
        ...

    async def stop(self, instance_id: str, slot: str, *, keep_data: bool = False) -> bool:
        """End the slot gracefully, then by force; whether something ran. Returns when it is gone.

        What an earlier control plane left in the slot is found and ended as well. With `keep_data`
        the next start of the instance begins with what its sources have brought, where the server
        can tell it; one that cannot is ended all the same.

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
        """Remove all that is kept for an instance: directories, configuration files, logs.

        Raises:
            SlotOccupiedError: a slot of it still runs.
        """
        ...

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """Call `on_exit`, in place of an earlier one, for each slot that ends without `stop`.

        An exit right after a start can be told before the caller of `start` goes on: compare
        `process_id`.
        """
        ...

    async def close(self) -> None:
        """Stop watching; what runs goes on."""
        ...


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """What a running server says of a source, query or reaction (`kind`); `status` is its word.

    One without `auto_start` is not expected to run: only a person starts it.
    """

    kind: str
    id: str
    status: str
    error: str | None = None
    auto_start: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a running slot.

    Healthy: it answers and all that should run does. Degraded: it answers, and a component with
    auto_start does not run. Unhealthy: `/health` does not answer 200 in time. Unknown: it answers,
    but not in words that can be trusted; `reason` says why it is not Healthy.

    `snapshot` is what the server reported, as it came (secrets included, so `repr` leaves it
    out), or `None` where it could not be read.
    """

    at: datetime
    health: Health
    reason: str | None
    snapshot: Mapping[str, Any] | None = field(repr=False)
    components: tuple[ComponentStatus, ...]


class Observer(Protocol):
    """Looks at running slots; a look that fails is an Observation too, so it raises nothing."""

    async def observe(self, running: Running) -> Observation:
        """What the slot reports now, within a few seconds."""
        ...


class StepError(Exception):
    """A change of a running server that was refused, or whose answer did not come."""


class UnansweredStepError(StepError):
    """The answer did not come: whether the change was made, or is being made, is not known."""


class Editor(Protocol):
    """Changes running servers in place."""

    async def carry_out(self, running: Running, step: Step) -> None:
        """Make one change of one component.

        Raises:
            StepError: it was refused (UnansweredStepError: it got no answer).
        """
        ...
