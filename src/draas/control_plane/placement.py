"""Where the listeners of a slot are, and what it may not share with the other one: pure.

Behind a router clients know the addresses of a configuration, and each slot listens at ports of
its own: the server itself, its http sources and its sse reactions. What a source registers at its
database is the slot's own as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from draas.contract.slots import MAIN, SECOND, Loss
from draas.control_plane.records import SERVER, Place
from draas.model.canonical import Configuration
from draas.model.own import LISTENING, REGISTERED

INTERNAL_HOST = "127.0.0.1"
_HANDED_OVER = ("mock", "http")
"""Source kinds whose elements the server hands over itself."""
_HELD = ("log", "http", "sse")
"""Reaction kinds that can wait for the cut-over."""
_LONGEST_NAME = 63
_ANY_HOST = "0.0.0.0"
_DEFAULT_PORT = 8080


class Listener(NamedTuple):
    """An address at which clients reach a part of a server; `part` is `SERVER` for its API."""

    part: str
    host: str
    port: int


def listeners(configuration: Mapping[str, Any]) -> list[Listener]:
    """Every address of a configuration that is told in it; those by reference stay the server's."""
    found = [Listener(SERVER, str(configuration["host"]), int(configuration["port"]))]
    for part, component in _listening(configuration):
        host = component.get("host", _ANY_HOST)
        port = component.get("port", _DEFAULT_PORT)
        if _is_plain(host, port):
            found.append(Listener(part, host, port))
    return found


def placed(
    configuration: Mapping[str, Any], placement: Mapping[str, Place], slot: str
) -> Configuration:
    """The configuration as the slot is started with it: listening inside, with its own names.

    Host and port of the server itself are the launch's.
    """
    if not placement:
        return dict(configuration)
    return {
        **configuration,
        **{
            part: [_placed(part, each, placement, slot) for each in configuration.get(part) or ()]
            for part in LISTENING
        },
    }


def unplaced(
    seen: Mapping[str, Any],
    original: Mapping[str, Any],
    placement: Mapping[str, Place],
    slot: str,
) -> Configuration:
    """What a slot reports, with all that its placement changed changed back."""
    if not placement:
        return dict(seen)
    return {
        **seen,
        **{
            part: [_unplaced(part, each, original, placement, slot) for each in seen.get(part, ())]
            for part in LISTENING
        },
    }


def obstacles(configuration: Mapping[str, Any], *, hands_over: bool = True) -> list[str]:
    """Why two copies of an instance cannot live side by side; empty if they can.

    Reactions of a server that hands nothing over are held by not being there.
    """
    found = []
    for part, component in _listening(configuration):
        if not _is_plain(component.get("host", _ANY_HOST), component.get("port", _DEFAULT_PORT)):
            kind, _, name = part.partition("/")
            found.append(
                f"{kind[:-1]} {name!r} listens at an address by reference, which two slots would "
                "share"
            )
    for source in configuration.get("sources") or ():
        if source["kind"] not in (*_HANDED_OVER, *REGISTERED):
            found.append(
                f"source {source['id']!r} of kind {source['kind']!r} may not be read by two copies"
            )
        found += _long_names(source)
    for reaction in configuration.get("reactions") or ():
        if hands_over and reaction["kind"] not in _HELD:
            found.append(
                f"reaction {reaction['id']!r} of kind {reaction['kind']!r} cannot be held back "
                "until the cut-over"
            )
    return found


def losses(configuration: Mapping[str, Any], *, hands_over: bool = True) -> list[Loss]:
    """The queries that begin empty in a new slot: their sources bring nothing along.

    The included server hands over what its sources have brought, one of another make does not.
    """
    empty = {
        source["id"]: source["kind"]
        for source in configuration.get("sources") or ()
        if not (hands_over and source["kind"] in _HANDED_OVER)
        and not source.get("bootstrapProvider")
    }
    return [
        Loss(
            query=query["id"],
            reason=f"source {read!r} of kind {empty[read]!r} has no bootstrapProvider",
        )
        for query in configuration.get("queries") or ()
        for read in sorted({each.get("sourceId") for each in query.get("sources") or ()} & {*empty})
    ]


def _long_names(source: Mapping[str, Any]) -> list[str]:
    """PostgreSQL cuts longer names off: both slots would have the same ones."""
    names = {
        name: f"{source.get(name, usual)}_{SECOND}"
        for name, usual in REGISTERED.get(source["kind"], {}).items()
    }
    return [
        f"source {source['id']!r}: {name} of its second slot, {value!r}, is above {_LONGEST_NAME} "
        "characters"
        for name, value in names.items()
        if len(value) > _LONGEST_NAME
    ]


def _listening(configuration: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part, kinds in LISTENING.items():
        for component in configuration.get(part) or ():
            if component["kind"] in kinds:
                yield f"{part}/{component['id']}", component


def _is_plain(host: Any, port: Any) -> bool:
    return isinstance(host, str) and "${" not in host and type(port) is int


def _placed(
    part: str, component: Mapping[str, Any], placement: Mapping[str, Place], slot: str
) -> dict[str, Any]:
    place = placement.get(f"{part}/{component['id']}")
    own: dict[str, Any] = {}
    if place is not None:
        own = {"host": INTERNAL_HOST, "port": place.internal}
    if part == "sources" and slot != MAIN:
        names = REGISTERED.get(component["kind"], {})
        own |= {name: f"{component.get(name, usual)}_{slot}" for name, usual in names.items()}
    return {**component, **own}


def _unplaced(
    part: str,
    component: Mapping[str, Any],
    original: Mapping[str, Any],
    placement: Mapping[str, Place],
    slot: str,
) -> dict[str, Any]:
    known = next((each for each in original.get(part) or () if each["id"] == component["id"]), None)
    if known is None:
        return dict(component)
    changed = _placed(part, known, placement, slot)
    found = dict(component)
    for name, value in changed.items():
        if value == known.get(name) or found.get(name) != value:
            continue
        found[name] = known.get(name)
        if name not in known:
            del found[name]
    return found
