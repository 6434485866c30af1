"""The five checks of a running copy (R-135), each by name and with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from draas.model.operation import HealthCheck
from draas.model.status import Health

PROCESS = "process runs"
PORT = "port listens"
HEALTH = "health answers"
SOURCES = "sources connected"
QUERIES = "query engine responsive"

Statuses = Mapping[str, str]
"""Components of one kind by id, each with its status as the server words it."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a copy itself answered, asked at its own address; `None` where it gave no answer."""

    listens: bool
    answers: bool | None = None
    reason: str = ""
    sources: Statuses | None = None
    queries: Statuses | None = None


def checks(
    *, runs: bool, health: Health, reason: str = "", probed: Probed | None = None
) -> tuple[HealthCheck, ...]:
    """The five checks of a copy, from what the control plane knows and the copy itself answered.

    What the copy was not asked for is what the control plane's word makes of it.
    """
    if not runs:
        failed = reason or "it does not run"
        rest = (PORT, HEALTH, SOURCES, QUERIES)
        return HealthCheck(PROCESS, False, failed), *(
            HealthCheck(name, None, failed) for name in rest
        )
    told = HealthCheck("", {Health.HEALTHY: True, Health.UNKNOWN: None}.get(health, False), reason)
    answering = health in (Health.HEALTHY, Health.DEGRADED) or told.passed
    if probed is None:
        return (
            HealthCheck(PROCESS, True),
            HealthCheck(PORT, answering, reason),
            HealthCheck(HEALTH, answering, reason),
            HealthCheck(SOURCES, told.passed, reason),
            HealthCheck(QUERIES, told.passed, reason),
        )
    return (
        HealthCheck(PROCESS, True),
        HealthCheck(PORT, probed.listens, probed.reason),
        HealthCheck(HEALTH, probed.answers, probed.reason),
        _components(SOURCES, "source", probed.sources, told),
        _components(QUERIES, "query", probed.queries, told),
    )


def failed(found: Iterable[HealthCheck]) -> str:
    """What is wrong, in words; empty if no check failed."""
    return _worded(each for each in found if each.passed is False)


def unknown(found: Iterable[HealthCheck]) -> str:
    """What nobody can tell, in words; empty if all is known."""
    return _worded(each for each in found if each.passed is None)


def _worded(found: Iterable[HealthCheck]) -> str:
    said = (f"{each.name}: {each.reason}" if each.reason else f"{each.name}: no" for each in found)
    return "; ".join(said)


def _components(name: str, kind: str, statuses: Statuses | None, told: HealthCheck) -> HealthCheck:
    if statuses is None:
        return HealthCheck(name, told.passed, told.reason)
    broken = [f"{kind} {id!r} is {status}" for id, status in statuses.items() if status == "Error"]
    if broken:
        return HealthCheck(name, False, "; ".join(broken))
    return HealthCheck(name, told.passed, told.reason)
