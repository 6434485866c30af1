"""What a control plane can be asked, native or foreign, and the ways in which asking fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from draas.contract.feed import Changes
from draas.model.instance import InstanceState
from draas.model.slots import Parity, Slot, SlotPlan, Slots, Traffic


class ControlPlaneError(Exception):
    """A question that got no usable answer; never a value that could be taken for one (B-06)."""


class UnreachableError(ControlPlaneError):
    """Nobody answered: refused, timed out, cut off."""


class GarbageError(ControlPlaneError):
    """An answer that makes no sense: wrong types, truncated, too large."""


class RefusedError(ControlPlaneError):
    """An answer that says no; `kind` is the problem's type where there is one."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        members: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.members = dict(members or {})
        self.retry_after = retry_after

    @property
    def is_redirect(self) -> bool:
        """Whether it names another place; nobody goes there, least of all with a configuration."""
        return self.status // 100 == 3

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later: 408, 409 busy, 425, 429 and 5xx (B-60).

        So may one that was sent elsewhere (3xx): that is about the way, not about what was asked.
        So may one that an old answer led to: what runs is asked for again before the next.
        """
        if self.kind in ("start-failed", "hot-apply-failed"):
            return False
        surprising = self.kind in ("instance-busy", "instance-running", "stopped-by-user")
        later = self.status in (408, 425, 429) or self.status >= 500
        return surprising or later or self.is_redirect


@dataclass(frozen=True, slots=True)
class FleetStates:
    """The whole fleet; `unreadable` has the ids whose state made no sense, with the reason.

    `cursor` is where the change feed goes on, `None` where there is no feed.
    """

    states: tuple[InstanceState, ...]
    cursor: str | None = None
    etag: str | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """A configuration with its identity; `generation` is `None` where there is none."""

    document: dict[str, Any]
    digest: str
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a control plane can do beyond the source document's endpoints; shown when it starts."""

    native: bool
    base: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """For which operation something is ordered, under which fence, and which call it is.

    The same call again has the same key, and is made once.
    """

    operation_id: str
    fence: int
    key: str


class SlotControl(Protocol):
    """The slots of an instance: a second running copy beside the one that serves.

    One that cannot have any refuses with `two-slots-impossible`. Calls with an order are ensured:
    what is so already is left as it is.
    """

    async def slots(self, instance_id: str) -> Slots:
        """The slots as they are now."""
        ...

    async def plan_slots(self, instance_id: str, document: Mapping[str, Any]) -> SlotPlan:
        """What a change to the document by two slots would meet; nothing happens."""
        ...

    async def open_slot(
        self,
        instance_id: str,
        document: Mapping[str, Any],
        order: Order,
        within: float,
        *,
        allow_state_loss: bool,
    ) -> Slot:
        """See that a candidate runs with the document, follows, and has no traffic."""
        ...

    async def weigh(
        self, instance_id: str, weights: Mapping[str, int], order: Order, within: float
    ) -> None:
        """See that the traffic is split so, in percent."""
        ...

    async def traffic(self, instance_id: str) -> Traffic:
        """What each slot was sent since it was attached."""
        ...

    async def parity(self, instance_id: str) -> Parity:
        """Whether the queries whose text did not change give the same rows in both slots."""
        ...

    async def switch(self, instance_id: str, slot: str, order: Order, within: float) -> None:
        """See that the slot serves: all traffic, leadership, reactions; the other is retired.

        A switch to a retired slot is a way back: what served loses the praise that it earned there.
        """
        ...

    async def close_slot(
        self, instance_id: str, slot: str, order: Order, drain: float, within: float
    ) -> None:
        """See that the slot is gone, once it is idle or after `drain` seconds; not what serves."""
        ...


class ControlPlane(SlotControl, Protocol):
    """A control plane as the daemon needs it. Every call may raise `ControlPlaneError`."""

    capabilities: Capabilities

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """The states of all instances; `None` if nothing changed since `etag`."""
        ...

    async def changes(self, after: str, wait: float) -> Changes:
        """What happened after the cursor; answers at once if something did, else after `wait` s."""
        ...

    async def state(self, instance_id: str) -> InstanceState | None:
        """The state of an instance; `None` only if the control plane says that there is none."""
        ...

    async def desired(self, instance_id: str) -> Desired:
        """The desired configuration."""
        ...

    async def last_good(self, instance_id: str) -> Desired | None:
        """The newest configuration that was seen running well; `None` if none was."""
        ...

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """The desired configuration as it was in that generation; `None` if it is not kept."""
        ...

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """What the running server reports, as a configuration; `None` if nobody can ask it."""
        ...

    async def start(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """See that it runs with the document; what the user wants stays as it is."""
        ...

    async def stop(self, instance_id: str, order: Order, within: float) -> bool:
        """See that it does not run; whether something had to be ended."""
        ...

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """See that what runs is changed in place to the document; a refusal where it cannot be."""
        ...
