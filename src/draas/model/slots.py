"""Slots: the copies of one instance, who serves, and what each of them was sent.

An instance has one serving slot and at most one more: a candidate before the cut-over, or the
retired one after it. Names are `main` and `second`; either may serve.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAIN = "main"
SECOND = "second"
SERVING = "serving"
CANDIDATE = "candidate"
RETIRED = "retired"
MIRRORED = "mirrored"
"""In place of a role in the hand-over: it cannot follow, and gets copies of what is pushed."""
NO_ROUTER = "none"
"""What stands for the router where there is none, and so nothing for a second slot."""
MOST_ROWS = 20
"""So many rows of a difference are told, each way."""


def other(name: str) -> str:
    """The name of the other slot."""
    return SECOND if name == MAIN else MAIN


class Followed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a slot is with the changes of its instance: who leads, and by how much it lags.

    `lag` is `None` while the leader does not answer.
    """

    role: str = ""
    sequence: int = 0
    leader: str | None = None
    lag: int | None = 0
    error: str | None = None
    sources: dict[str, dict[str, Any]] = {}


class Slot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A copy of an instance; `host` and `port` are its own, for what asks it alone.

    `digest` is that of the configuration it was started with, the components' digests are of what
    it was started with and of what it reports; `None` means not known. `weight` is its share of
    the traffic in percent.
    """

    name: str
    role: str
    digest: str | None = None
    generation: int | None = None
    components_digest: str | None = None
    observed_components_digest: str | None = None
    health: str = "Unknown"
    reason: str | None = None
    host: str = ""
    port: int = 0
    process_id: int | None = None
    started_at: str | None = None
    weight: int = 0
    handover: Followed | None = None


class Slots(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The slots of an instance, the serving one first; none while nothing runs."""

    router: str = NO_ROUTER
    slots: list[Slot] = []

    def named(self, name: str) -> Slot | None:
        """The slot with that name, if it is there."""
        return next((slot for slot in self.slots if slot.name == name), None)

    @property
    def serving(self) -> Slot | None:
        """The slot that serves."""
        return next((slot for slot in self.slots if slot.role == SERVING), None)

    @property
    def spare(self) -> Slot | None:
        """The one that does not: a candidate or a retired one."""
        return next((slot for slot in self.slots if slot.role != SERVING), None)


class Loss(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A query that would begin empty in a new slot, and why."""

    query: str
    reason: str = ""


class SlotPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a change by two slots would meet: whether it is possible, and what it would lose."""

    possible: bool
    reasons: list[str] = []
    losses: list[Loss] = []


class Counters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Totals of what a slot was sent since it was attached.

    `errors` are answers of 5xx and broken connections. `latency` are cumulative buckets: the upper
    bound in ms, `None` for the last, and how many took no longer. `healthy` is what the router
    says of the slot itself, `retries` what others had to answer for it.
    """

    requests: int = 0
    errors: int = 0
    codes: dict[str, int] = {}
    latency: list[tuple[float | None, int]] = []
    inflight: int | None = None
    healthy: bool = True
    retries: int = 0
    mirror_failures: int = 0


class Traffic(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The counters of all slots at one time."""

    at: str
    slots: dict[str, Counters] = {}


class QueryParity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a query gives the same rows in both slots; `None`: it is not known now.

    `missing` are rows that only the serving slot has, `extra` those that only the other has.
    """

    id: str
    same: bool | None = None
    reason: str = ""
    missing: list[Any] = []
    extra: list[Any] = []


class Parity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The queries whose text did not change, compared between both slots."""

    queries: list[QueryParity] = []
