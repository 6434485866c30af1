"""What a server's snapshot says of its components, and what that means for its health."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from draas.control_plane.ports import ComponentStatus
from draas.model.status import Health

_COLLECTIONS: Final = {"source": "sources", "query": "queries", "reaction": "reactions"}
_STATUSES: Final = frozenset(
    {"Added", "Starting", "Running", "Stopping", "Stopped", "Error", "Reconfiguring", "Removed"}
)
_NAMED_AT_MOST = 3


class Unobservable(Exception):  # noqa: N818  it names a state of the world, not a fault of ours
    """A running server that cannot be read, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Component(msgspec.Struct):
    id: str
    status: str
    auto_start: bool = True


class _Query(msgspec.Struct):
    id: str
    status: str
    config: dict[str, Any]


class _Snapshot(msgspec.Struct):
    sources: list[_Component]
    queries: list[_Query]
    reactions: list[_Component]


@dataclass(frozen=True, slots=True)
class Report:
    """The components of a server."""

    statuses: tuple[ComponentStatus, ...]

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """The kinds with a component in Error, each with the name of its collection."""
        kinds = {each.kind for each in self.statuses if each.status == "Error"}
        return tuple((kind, _COLLECTIONS[kind]) for kind in sorted(kinds))

    def explained(
        self, errors: Mapping[tuple[str, str], str], redaction: Callable[[str], str]
    ) -> Report:
        """The same with the errors, by kind and id, as the server words them without secrets."""
        return replace(
            self,
            statuses=tuple(
                replace(each, error=redaction(errors[each.kind, each.id]))
                if each.status == "Error" and (each.kind, each.id) in errors
                else each
                for each in self.statuses
            ),
        )

    def verdict(self) -> tuple[Health, str | None]:
        """The health of a server that answers, with the reason for anything but Healthy."""
        strange = [each for each in self.statuses if each.status not in _STATUSES]
        if strange:
            return Health.UNKNOWN, "status not understood: " + _named(strange)
        idle = [each for each in self.statuses if each.status != "Running" and each.auto_start]
        return (Health.DEGRADED, _named(idle)) if idle else (Health.HEALTHY, None)


def read_report(snapshot: Mapping[str, Any]) -> Report:
    """The components of a snapshot without the server's own (`__…`).

    Raises:
        Unobservable: it has not the form of a snapshot, or names a component twice.
    """
    try:
        parsed = msgspec.convert(snapshot, _Snapshot)
        found = [each for each in _components(parsed) if not each.id.startswith("__")]
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unobservable(f"the server's answer is no snapshot: {error}") from error
    names = [(each.kind, each.id) for each in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Unobservable(f"the server's snapshot names {twice[0]} {twice[1][:100]!r} twice")
    return Report(tuple(found))


def _components(snapshot: _Snapshot) -> Iterator[ComponentStatus]:
    for each in snapshot.sources:
        yield ComponentStatus("source", each.id, each.status, auto_start=each.auto_start)
    for query in snapshot.queries:
        auto_start = query.config.get("auto_start", query.config.get("autoStart", False))
        if not isinstance(auto_start, bool):
            raise msgspec.ValidationError(f"auto_start of query {query.id[:100]!r} is no boolean")
        yield ComponentStatus("query", query.id, query.status, auto_start=auto_start)
    for each in snapshot.reactions:
        yield ComponentStatus("reaction", each.id, each.status, auto_start=each.auto_start)


def _named(components: list[ComponentStatus]) -> str:
    """`query 'hot' is Stopped; source 's' is Error: no such host; and 2 more`."""
    parts = [
        f"{each.kind} {each.id[:100]!r} is {each.status[:100]}"
        + (f": {each.error}" if each.error else "")
        for each in components[:_NAMED_AT_MOST]
    ]
    if len(components) > _NAMED_AT_MOST:
        parts.append(f"and {len(components) - _NAMED_AT_MOST} more")
    return "; ".join(parts)
