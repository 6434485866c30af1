"""Differences field by field, and the lines of the source document."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from draas.decide.compare import Difference, compare, compare_observed
from draas.model.configuration import digest, from_snapshot, normal_form, observable_digest
from tests.support.documents import REALISTIC, documents, respelled, snapshot_of, unhurried


def source(name: str, **members: Any) -> dict[str, Any]:
    return {"kind": "x", "id": name} | members


def query(name: str, **members: Any) -> dict[str, Any]:
    return {"id": name, "query": "a"} | members


@pytest.mark.parametrize(
    ("actual", "desired", "lines"),
    [
        pytest.param({"host": "a"}, {"host": "b"}, ["Host: a → b"], id="host"),
        pytest.param({}, {"host": "127.0.0.1"}, ["Host: 0.0.0.0 → 127.0.0.1"], id="default-host"),
        pytest.param({}, {"port": 8081}, ["Port: 8080 → 8081"], id="port"),
        pytest.param({}, {"logLevel": "DEBUG"}, ["LogLevel: info → debug"], id="log-level"),
        pytest.param({}, {"logLevel": "Info"}, [], id="same-level"),
        pytest.param({}, {"port": "${P:-1}"}, ["Port: 8080 → ${P:-1}"], id="reference"),
        pytest.param(
            {},
            {
                "reactions": [source("r")],
                "queries": [query("q")],
                "sources": [source("s")],
                "logLevel": "warn",
                "port": 1,
                "host": "h",
                "persistIndex": True,
            },
            [
                "Host: 0.0.0.0 → h",
                "Port: 8080 → 1",
                "LogLevel: info → warn",
                "Sources count: 0 → 1",
                "Queries count: 0 → 1",
                "Reactions count: 0 → 1",
                "persistIndex: false → true",
            ],
            id="order",
        ),
        pytest.param(
            {"queries": [query("q"), query("r")]},
            {"queries": [query("r")]},
            ["Queries count: 2 → 1"],
            id="removed",
        ),
        pytest.param(
            {"queries": [query("q")]},
            {"queries": [query("q", query="b", autoStart=False)]},
            ["Query q: autoStart, query changed"],
            id="equal-counts",
        ),
        pytest.param(
            {"sources": [source("a")]},
            {"sources": [source("b")]},
            ["Source a: removed", "Source b: added"],
            id="exchanged",
        ),
        pytest.param(
            {"sources": [source("a"), source("b")]},
            {"sources": [source("b"), source("a")]},
            [],
            id="reordered",
        ),
        pytest.param(
            {"apiVersion": "a"},
            {"stateStore": {"kind": "x"}},
            ["apiVersion: a → absent", 'stateStore: absent → {"kind":"x"}'],
            id="other-settings",
        ),
        pytest.param(
            {"sources": [source("a", password="x")]},
            {"sources": [source("a", password="y")]},
            ["Source a: password changed"],
            id="secret-of-a-source",
        ),
        pytest.param(
            {"stateStore": {"password": "x"}},
            {"stateStore": {"password": "y"}},
            ['stateStore: {"password":"***"} → {"password":"***"} (changed)'],
            id="secret-of-the-root",
        ),
        pytest.param(
            None, {}, ["Initial configuration - no actual state exists"], id="no-actual-state"
        ),
    ],
)
def test_summary(actual: Any, desired: dict[str, Any], lines: list[str]) -> None:
    comparison = compare(actual, desired)
    assert list(comparison.summary) == lines
    assert comparison.has_drift is bool(lines)


def change(before: Any, *, at: str, to: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two documents that differ in one property of a source."""
    return {"sources": [source("pg", **before)]}, {"sources": [source("pg", **{at: to})]}


@pytest.mark.parametrize(
    ("actual", "desired", "difference"),
    [
        pytest.param(
            *change({"tables": ["a", "b"]}, at="tables", to=["c", "b"]),
            Difference("sources[pg].tables[0]", "a", "c", "changed"),
            id="list-entry",
        ),
        pytest.param(
            *change({"tables": ["a"]}, at="tables", to=["a", "b"]),
            Difference("sources[pg].tables[1]", None, "b", "added"),
            id="list-longer",
        ),
        pytest.param(
            *change({"a": {"b": 1, "c": 2}}, at="a", to={"b": 1}),
            Difference("sources[pg].a.c", 2, None, "removed"),
            id="member-removed",
        ),
        pytest.param(
            *change({"a": 1}, at="a", to=True),
            Difference("sources[pg].a", 1, True, "changed"),
            id="one-is-not-true",
        ),
        pytest.param(
            *change({"x y": 1}, at="x y", to=2),
            Difference('sources[pg]["x y"]', 1, 2, "changed"),
            id="odd-name",
        ),
        pytest.param(
            *change({"password": "x"}, at="password", to="y"),
            Difference("sources[pg].password", "***", "***", "changed"),
            id="secret",
        ),
        pytest.param(
            *change(
                {"headers": [{"name": "Authorization", "value": "x"}]},
                at="headers",
                to=[{"name": "Authorization", "value": "y"}],
            ),
            Difference("sources[pg].headers[0].value", "***", "***", "changed"),
            id="secret-by-its-neighbour",
        ),
        pytest.param(
            {"queries": [query("q")]},
            {"queries": [query("q", queryText="b", query=None)]},
            Difference("queries[q].query", "a", "b", "changed"),
            id="query-text",
        ),
        pytest.param(
            {},
            {"sources": [source("s", token="t")]},
            Difference(
                "sources[s]",
                None,
                {"kind": "x", "id": "s", "token": "***", "autoStart": True},
                "added",
            ),
            id="component-added",
        ),
    ],
)
def test_one_difference(
    actual: dict[str, Any], desired: dict[str, Any], difference: Difference
) -> None:
    assert compare(actual, desired).differences == (difference,)


def test_a_reference_is_a_value() -> None:
    (difference,) = compare(*change({"password": "${P:-x}"}, at="password", to="y")).differences
    assert difference.path == "sources[pg].password"
    assert difference.actual == {"kind": "EnvironmentVariable", "name": "P", "default": "***"}


@unhurried
@given(documents(unique=False), documents(unique=False))
def test_no_differences_exactly_when_the_digests_agree(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    comparison = compare(one, other)
    assert (not comparison.differences) == (digest(one) == digest(other))
    assert (not comparison.summary) == (not comparison.differences)


@unhurried
@given(documents(unique=False))
def test_a_document_does_not_differ_from_itself_in_other_words(document: dict[str, Any]) -> None:
    assert not compare(document, document).has_drift
    assert not compare(document, respelled(document)).has_drift


@unhurried
@given(documents(), documents())
def test_the_way_back_is_the_mirror_image(one: dict[str, Any], other: dict[str, Any]) -> None:
    mirrored = {"added": "removed", "removed": "added", "changed": "changed"}
    forth, back = compare(one, other).differences, compare(other, one).differences
    assert [(d.path, mirrored[d.kind]) for d in forth] == [(d.path, d.kind) for d in back]


@unhurried
@given(documents(), documents())
def test_observed_differences_agree_with_observable_digests(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    seen = from_snapshot(snapshot_of(normal_form(one)))
    comparison = compare_observed(seen, other)
    assert comparison.has_drift == (observable_digest(one) != observable_digest(other))


def test_secrets_do_not_reach_any_line() -> None:
    changed = copy.deepcopy(REALISTIC)
    changed["sources"][0]["password"] = "other-secret"
    changed["reactions"][0]["baseUrl"] = "http://u:hidden@h/x"
    told = json.dumps([str(compare(REALISTIC, changed)), str(compare({}, changed))])
    assert not [word for word in ("hunter2", "other-secret", "hidden") if word in told]
