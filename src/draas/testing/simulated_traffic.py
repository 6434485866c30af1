"""Traffic of a simulated instance: so many requests a second, split by weight, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from draas.model.slots import Counters

BOUNDS = tuple(5 * 1.25**n for n in range(30))
"""Upper bounds of the latency's buckets in ms."""
SLOWEST = (0.9, 0.09, 0.01)
TIMES = (1.0, 1.4, 2.0)
"""So many of the requests take so many times the usual latency."""


@dataclass(frozen=True)
class Manners:
    """How a configuration answers: the share that fails, its usual latency, when it dies.

    `dies_at` is the share of the traffic in percent that kills it.
    """

    errors: float = 0.0
    latency: float = 20.0
    dies_at: int | None = None


@dataclass
class Flow:
    """What slots were sent since they were attached; who is `dead` is answered for by the other."""

    weights: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    _at: float | None = None
    _requests: dict[str, float] = field(default_factory=dict)
    _errors: dict[str, float] = field(default_factory=dict)
    _retries: dict[str, float] = field(default_factory=dict)
    _latency: dict[str, list[float]] = field(default_factory=dict)

    def attach(self, name: str) -> None:
        """A slot begins with nothing."""
        self.detach(name)
        self._requests[name] = 0.0

    def detach(self, name: str) -> None:
        """The counters of a slot go with it."""
        for kept in (self._requests, self._errors, self._retries, self._latency):
            kept.pop(name, None)
        self.dead.discard(name)
        self.weights.pop(name, None)

    def until(self, now: float, rate: float, how: Mapping[str, Manners], serving: str) -> None:
        """Count what came since the last time."""
        began, self._at = self._at, now
        self._requests.setdefault(serving, 0.0)
        if began is None:
            return
        for name, weight in self.weights.items():
            sent = rate * (now - began) * weight / 100
            answers = name
            if name in self.dead:
                self._retries[name] = self._retries.get(name, 0.0) + sent
                answers = next(iter(self.weights.keys() - self.dead), name)
            self._answer(answers, sent, how.get(answers, Manners()))

    def counters(self) -> dict[str, Counters]:
        """The totals as a router tells them."""
        return {name: self._counted(name) for name in self._requests}

    def _answer(self, name: str, sent: float, manners: Manners) -> None:
        self._requests[name] = self._requests.get(name, 0.0) + sent
        self._errors[name] = self._errors.get(name, 0.0) + sent * manners.errors
        took = self._latency.setdefault(name, [0.0] * len(BOUNDS))
        for index, bound in enumerate(BOUNDS):
            shares = zip(SLOWEST, TIMES, strict=True)
            took[index] += sent * sum(
                share for share, times in shares if manners.latency * times <= bound
            )

    def _counted(self, name: str) -> Counters:
        requests = int(self._requests[name])
        took = self._latency.get(name, [0.0] * len(BOUNDS))
        return Counters(
            requests=requests,
            errors=int(self._errors.get(name, 0.0)),
            latency=[
                *((bound, int(count + 1e-6)) for bound, count in zip(BOUNDS, took, strict=True)),
                (None, requests),
            ],
            inflight=0,
            healthy=name not in self.dead,
            retries=int(self._retries.get(name, 0.0)),
        )
