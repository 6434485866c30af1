"""All elements as lines: what is written is read back, and half of it is not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from draas.instance_host.change_log import ChangeLog
from draas.instance_host.registry import Registry, Source
from draas.instance_host.transfer import export, read_all

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
ELEMENTS = st.dictionaries(
    st.text(min_size=1, max_size=3), st.dictionaries(st.text(max_size=3), VALUES, max_size=3)
)


def _registry(elements: dict[str, dict[str, Any]]) -> Registry:
    registry = Registry()
    source = Source("orders", {}, {}, "orders", None)
    for element_id, properties in elements.items():
        change = {"op": "insert", "id": element_id, "labels": ["L"], "properties": properties}
        source.elements.note(change)
    registry.sources["orders"] = source
    return registry


@given(ELEMENTS)
def test_a_transfer_comes_back_whole(elements: dict[str, dict[str, Any]]) -> None:
    log = ChangeLog("first")
    log.record("orders", {"op": "delete", "id": "x"})
    text = b"".join(export(log, _registry(elements)))
    header, found = read_all(text.splitlines(keepends=True))
    assert (header.sequence, header.terms) == (1, [("first", 0)])
    assert {change["id"]: change["properties"] for _, change in found} == elements
    assert {(source_id, change["op"]) for source_id, change in found} <= {("orders", "insert")}


def test_a_transfer_is_of_the_moment_at_which_it_was_asked_for() -> None:
    registry = _registry({"a": {"x": 1}})
    chunks = export(ChangeLog("first"), registry)
    elements = registry.sources["orders"].elements
    elements.note({"op": "update", "id": "a", "labels": ["L"], "properties": {"x": 2}})
    elements.note({"op": "insert", "id": "b", "labels": ["L"], "properties": {}})
    _, found = read_all(b"".join(chunks).splitlines())
    assert [change["properties"] for _, change in found] == [{"x": 1}]
