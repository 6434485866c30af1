"""The element cache keeps the engine's picture whole: a model of the engine agrees with it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from draas.instance_host.elements import Change, Elements

CHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["insert", "update", "delete"]),
            "id": st.sampled_from(["a", "b", "c"]),
            "labels": st.just(["L"]),
            "properties": st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 9)),
        }
    ),
    max_size=20,
)


def _apply(engine: dict[str, dict[str, Any]], change: Change) -> None:
    """What the engine does: an update merges, also into nothing; a delete forgets."""
    if change["op"] == "delete":
        engine.pop(change["id"], None)
    else:
        old = engine.get(change["id"], {}) if change["op"] == "update" else {}
        engine[change["id"]] = {**old, **change["properties"]}


def _shown(engine: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        element: {key: value for key, value in properties.items() if value is not None}
        for element, properties in engine.items()
    }


@given(CHANGES)
def test_safe_changes_mean_the_same_without_inserting_anything_known(changes: list[Change]) -> None:
    elements = Elements()
    engine: dict[str, dict[str, Any]] = {}
    wanted: dict[str, dict[str, Any]] = {}
    for change in changes:
        safe = elements.safe(change)
        assert not (safe["op"] == "insert" and safe["id"] in engine)
        _apply(engine, safe)
        elements.note(safe)
        _apply(wanted, change)
    assert _shown(engine) == _shown(wanted)


@given(CHANGES)
def test_a_replay_rebuilds_the_engine_from_nothing_and_changes_it_no_more(
    changes: list[Change],
) -> None:
    elements = Elements()
    engine: dict[str, dict[str, Any]] = {}
    for change in changes:
        safe = elements.safe(change)
        _apply(engine, safe)
        elements.note(safe)
    fresh: dict[str, dict[str, Any]] = {}
    for change in elements.replay():
        assert change["op"] == "insert"
        _apply(fresh, change)
    assert fresh == engine
    assert len(elements) == len(engine)
    for change in elements.replay():
        _apply(engine, elements.safe(change))
    assert fresh == engine


def test_a_change_that_was_not_pushed_is_not_known() -> None:
    elements = Elements()
    elements.safe({"op": "insert", "id": "a", "labels": [], "properties": {}})
    assert len(elements) == 0


def test_nodes_are_replayed_before_relations() -> None:
    elements = Elements()
    relation = {"op": "insert", "id": "r", "labels": ["R"], "start_id": "a", "end_id": "b"}
    for change in (relation, {"op": "insert", "id": "a", "labels": ["L"], "properties": {}}):
        elements.note(elements.safe(change))
    assert [change["id"] for change in elements.replay()] == ["a", "r"]


def test_a_deletion_gets_the_labels_of_what_it_deletes() -> None:
    elements = Elements()
    elements.note({"op": "insert", "id": "a", "labels": ["L"], "properties": {}})
    assert elements.safe({"op": "delete", "id": "a"})["labels"] == ["L"]
