"""A server's snapshot is read as the document it runs, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.model.configuration import (
    ConfigurationError,
    from_snapshot,
    normal_form,
    observable,
    observable_digest,
)
from tests.support.documents import REALISTIC, documents, snapshot_of, unhurried


@unhurried
@given(documents(), st.booleans())
def test_what_runs_is_recognised(document: dict[str, Any], snake: bool) -> None:
    seen = from_snapshot(snapshot_of(normal_form(document), snake=snake))
    assert observable(seen) == observable(document)
    assert observable_digest(seen) == observable_digest(document)


@pytest.mark.parametrize(
    ("spoil", "path"),
    [
        pytest.param(lambda s: s.pop("queries"), "queries", id="list-missing"),
        pytest.param(lambda s: s.update(sources={}), "sources", id="no-list"),
        pytest.param(lambda s: s["sources"].append(3), "sources[3]", id="no-object"),
        pytest.param(lambda s: s["sources"][1].pop("id"), "sources[1].id", id="id-missing"),
        pytest.param(lambda s: s["queries"][0].update(id=4), "queries[0].id", id="id-no-text"),
        pytest.param(lambda s: s["queries"][0].pop("config"), "queries[0].config", id="no-config"),
        pytest.param(
            lambda s: s["sources"][1].pop("source_type"), "sources[1].sourcetype", id="no-kind"
        ),
        pytest.param(
            lambda s: s["sources"][1].update(properties=[1]), "sources[1].properties", id="props"
        ),
        pytest.param(
            lambda s: s["reactions"][0].update(auto_start="yes"),
            "reactions[0].autoStart",
            id="auto-start",
        ),
    ],
)
def test_garbage_is_unknown_not_empty(spoil: Any, path: str) -> None:
    snapshot = snapshot_of(normal_form(REALISTIC))
    spoil(snapshot)
    with pytest.raises(ConfigurationError) as caught:
        from_snapshot(snapshot)
    assert [fault.path for fault in caught.value.faults] == [path]


@pytest.mark.parametrize("garbage", [None, [], "x", {}], ids=["null", "list", "text", "empty"])
def test_no_snapshot_at_all(garbage: Any) -> None:
    with pytest.raises(ConfigurationError):
        from_snapshot(garbage)


def test_a_query_that_the_server_would_not_start_is_drift() -> None:
    snapshot = snapshot_of(normal_form(REALISTIC))
    del snapshot["queries"][0]["config"]["auto_start"]
    assert observable_digest(from_snapshot(snapshot)) != observable_digest(REALISTIC)


def test_keys_of_newer_servers_in_queries_are_no_drift() -> None:
    snapshot = snapshot_of(normal_form(REALISTIC))
    snapshot["queries"][0]["config"]["somethingNew"] = 1
    assert observable_digest(from_snapshot(snapshot)) == observable_digest(REALISTIC)
