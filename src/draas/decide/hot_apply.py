"""Change a running server in place: which steps, in which order, and when it cannot be done.

Only sources, queries and reactions can change while a server runs; whatever depends on a component
goes before it and comes back after it, and what did not change is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from draas.model.canonical import LISTS
from draas.model.configuration import Configuration, for_launch, normal_form, observable
from draas.model.normal import UNREPORTED

SOURCES, QUERIES, REACTIONS = LISTS
Components = Mapping[str, Configuration]
"""The components of one list by id."""
Action = Literal["delete", "put", "post", "start", "stop"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call to the server's API; a document may hold secrets, so `repr` leaves it out."""

    action: Action
    part: str
    id: str
    document: Configuration | None = field(default=None, repr=False)


def settings_changed(applied: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of the server itself that differ: they need a restart, whatever else changed."""
    before, after = normal_form(applied), normal_form(wanted)
    names = sorted((before.keys() | after.keys()) - set(LISTS))
    return tuple(name for name in names if before.get(name) != after.get(name))


def hot_steps(
    observed: Mapping[str, Any],
    applied: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    idle: Collection[tuple[str, str]] = (),
    forgotten: Collection[str] = (),
) -> tuple[Step, ...]:
    """The calls that bring a server from what it reports to what is wanted, in a safe order.

    `observed` is what it reports now, so that a sequence that broke off is gone on with; `applied`
    tells of what no server reports. `idle` are the (list, id) that should run and do not. Queries
    that run and that the server forgets when a source of theirs is replaced are `forgotten`.
    """
    change = _Change(observed, applied, wanted)
    return (
        *_removals(change),
        *_sources(change, forgotten),
        *_additions(change),
        *(Step("start", part, id) for part, id in idle if change.untouched(part, id)),
    )


class _Change:
    """What is to be added, changed and removed of each list."""

    def __init__(
        self, observed: Mapping[str, Any], applied: Mapping[str, Any], wanted: Mapping[str, Any]
    ) -> None:
        launch = for_launch(wanted, instance_id="-")
        present, goal = observable(observed), observable(launch)
        self.documents = {part: _by_id(launch[part]) for part in LISTS}
        self.present = {part: _by_id(present[part]) for part in LISTS}
        self.removed = {p: self.present[p].keys() - self.documents[p].keys() for p in LISTS}
        self.added = {p: self.documents[p].keys() - self.present[p].keys() for p in LISTS}
        hidden, wanted_hidden = _unreported(applied), _unreported(launch)
        self.changed: dict[str, set[str]] = {part: set() for part in LISTS}
        for part in LISTS:
            for component in goal[part]:
                id = component["id"]
                known, now = hidden.get((part, id)), wanted_hidden[part, id]
                if id in self.present[part] and (
                    component != self.present[part][id] or (known is not None and known != now)
                ):
                    self.changed[part].add(id)
        gone = self.removed[QUERIES] | self.changed[QUERIES]
        self.interrupted = {
            id
            for id, reaction in self.present[REACTIONS].items()
            if id in self.removed[REACTIONS] or gone & set(reaction.get("queries") or ())
        }

    def untouched(self, part: str, id: str) -> bool:
        kept = id in self.documents[part] and id in self.present[part]
        return kept and id not in self.changed[part] and id not in self.interrupted


def _removals(change: _Change) -> Iterator[Step]:
    for id in sorted(change.interrupted):
        yield Step("delete", REACTIONS, id)
    for id in sorted(change.removed[QUERIES] | change.changed[QUERIES]):
        yield Step("delete", QUERIES, id)


def _sources(change: _Change, forgotten: Collection[str]) -> Iterator[Step]:
    documents, changed = change.documents[SOURCES], change.changed[SOURCES]
    for id in sorted(change.removed[SOURCES]):
        yield Step("delete", SOURCES, id)
    for id in sorted(changed):
        yield Step("put", SOURCES, id, documents[id])
    for id in sorted(change.added[SOURCES]):
        yield Step("post", SOURCES, id, documents[id])
    for id in sorted(change.documents[QUERIES].keys() & set(forgotten)):
        query = change.documents[QUERIES][id]
        reads = {each.get("sourceId") for each in query.get("sources") or ()}
        if reads & changed and change.untouched(QUERIES, id):
            yield Step("stop", QUERIES, id)
            yield Step("start", QUERIES, id)


def _additions(change: _Change) -> Iterator[Step]:
    queries, reactions = change.documents[QUERIES], change.documents[REACTIONS]
    for id in sorted(change.added[QUERIES] | change.changed[QUERIES]):
        yield Step("post", QUERIES, id, queries[id])
    back = (change.interrupted & reactions.keys()) | change.added[REACTIONS]
    for id in sorted(back):
        yield Step("post", REACTIONS, id, reactions[id])
    for id in sorted(change.changed[REACTIONS] - back):
        yield Step("put", REACTIONS, id, reactions[id])


def _by_id(components: list[Configuration]) -> dict[str, Configuration]:
    return {component["id"]: component for component in components}


def _unreported(document: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Any, ...]]:
    form = normal_form(document)
    return {
        (part, component["id"]): tuple(component.get(name) for name in UNREPORTED)
        for part in LISTS
        for component in form[part]
    }
