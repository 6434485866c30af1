"""Canonical form, normal form and digest: what is the same, what is kept, what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.model.configuration import (
    ConfigurationError,
    canonical,
    digest,
    for_launch,
    normal_form,
    observable_digest,
)
from tests.support.documents import REALISTIC, documents, respelled, unhurried

SOURCE = {"kind": "mock", "id": "m"}
QUERY = {"id": "q", "query": "MATCH (n) RETURN n"}


def with_source(**members: Any) -> dict[str, Any]:
    return {"sources": [SOURCE | members]}


def with_query(**members: Any) -> dict[str, Any]:
    return {"queries": [QUERY | members]}


def raw_query(**members: Any) -> dict[str, Any]:
    return {"queries": [members]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"Port": 1, "LOGLEVEL": "x"}, {"port": 1, "logLevel": "x"}, id="any-case"),
        pytest.param({"log_level": "x"}, {"logLevel": "x"}, id="snake-case"),
        pytest.param({"serverConfiguration": {"Port": 1}}, {"port": 1}, id="nested"),
        pytest.param({"ServerConfiguration": {"host": "h"}}, {"host": "h"}, id="nested-pascal"),
        pytest.param({"serverConfiguration": None}, {}, id="nested-null"),
        pytest.param({"port": 1, "serverConfiguration": {"port": 1}}, {"port": 1}, id="agreeing"),
        pytest.param({"host": None, "sources": None}, {}, id="null-is-absence"),
        pytest.param({"My_Key": None, "UPPER": {"Port": 1}}, None, id="unknown-verbatim"),
        pytest.param({"port": 8081.0}, {"port": 8081}, id="whole-float"),
        pytest.param({"persistIndex": True}, {"persistIndex": True}, id="boolean-is-no-number"),
    ],
)
def test_the_root_has_one_spelling(
    document: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    lists: dict[str, Any] = {"sources": [], "queries": [], "reactions": []}
    want = (document if expected is None else expected) | lists
    assert json.dumps(canonical(document), sort_keys=True) == json.dumps(want, sort_keys=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"QueryText": "a"}, {"query": "a"}, id="queryText"),
        pytest.param({"query": "a", "queryText": "a"}, {"query": "a"}, id="both-agreeing"),
        pytest.param({"query_language": "cypher"}, {"queryLanguage": "Cypher"}, id="exact-enum"),
        pytest.param({"queryLanguage": "SQL"}, {"queryLanguage": "SQL"}, id="unknown-enum-kept"),
        pytest.param({"auto_start": False}, {"autoStart": False}, id="auto-start"),
        pytest.param(
            {"Sources": [{"SourceId": "m", "Filter": 1}]},
            {"sources": [{"sourceId": "m", "Filter": 1}]},
            id="subscription",
        ),
        pytest.param({"Odd_Key": {"Id": 1}}, {"Odd_Key": {"Id": 1}}, id="unknown-verbatim"),
    ],
)
def test_a_query_has_one_spelling_and_says_its_start_and_language(
    query: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert canonical({"queries": [query]})["queries"] == [
        {"autoStart": True, "queryLanguage": "GQL"} | expected
    ]


def test_properties_of_plugins_keep_their_spelling() -> None:
    source = {"kind": "x", "id": "m", "Host": "h", "table_keys": [{"Table": None}], "Query": 1}
    assert canonical({"sources": [source]})["sources"] == [source]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param([], "", id="no-object"),
        pytest.param({"Port": 1, "port": 2}, "port", id="two-spellings"),
        pytest.param({"port": 1, "Port": True}, "port", id="true-is-not-one"),
        pytest.param({"port": 1, "serverConfiguration": {"port": 2}}, "port", id="nested-conflict"),
        pytest.param({"serverConfiguration": 3}, "serverConfiguration", id="nested-no-object"),
        pytest.param({"sources": {}}, "sources", id="sources-no-list"),
        pytest.param({"queries": ["q"]}, "queries[0]", id="query-no-object"),
        pytest.param(with_query(queryText="other"), "queries[0].query", id="two-query-texts"),
        pytest.param(with_query(sources="m"), "queries[0].sources", id="subscriptions-no-list"),
        pytest.param(with_query(sources=["m"]), "queries[0].sources[0]", id="bare-subscription"),
        pytest.param({"x": float("nan")}, "x", id="not-a-number"),
        pytest.param({"x": {1: 2}}, "x", id="key-no-text"),
        pytest.param({"x": [object()]}, "x[0]", id="no-json"),
    ],
)
def test_what_has_no_form_is_refused_by_path(document: Any, path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        canonical(document)
    assert [fault.path for fault in caught.value.faults] == [path]


def test_endless_nesting_is_a_fault() -> None:
    knot: dict[str, Any] = {}
    knot["x"] = knot
    with pytest.raises(ConfigurationError, match="nested deeper than 64"):
        canonical(knot)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({}, {"host": "0.0.0.0", "port": 8080, "logLevel": "INFO"}, id="root"),
        pytest.param({}, {"enableUi": True, "persistConfig": False}, id="root-switches"),
        pytest.param(with_source(), with_source(autoStart=True, intervalMs=5000), id="mock"),
        pytest.param(
            with_source(dataType={"type": "sensorReading"}),
            with_source(dataType={"type": "sensorReading", "sensorCount": 5}),
            id="mock-sensors",
        ),
        pytest.param(
            with_source(kind="postgres"),
            with_source(kind="postgres", port=5432, sslMode="prefer", slotName="drasi_slot"),
            id="postgres",
        ),
        pytest.param(
            {"reactions": [{"kind": "http", "id": "r"}]},
            {"reactions": [{"kind": "http", "id": "r", "timeoutMs": 5000, "queries": []}]},
            id="http-reaction",
        ),
        pytest.param(
            with_query(),
            with_query(autoStart=True, enableBootstrap=True, outboxCapacity=1000, joins=[]),
            id="query",
        ),
        pytest.param(
            with_query(sources=[{"sourceId": "m"}]),
            with_query(sources=[{"sourceId": "m", "nodes": [], "pipeline": None}]),
            id="subscription",
        ),
        pytest.param(
            with_query(middleware=[{"kind": "map"}]),
            with_query(middleware=[{"kind": "map", "config": {}}]),
            id="middleware",
        ),
        pytest.param(raw_query(query="a\nb"), raw_query(query="a\r\nb\r\n"), id="line-ends"),
        pytest.param(with_source(x=None, y=[1]), with_source(y=[1]), id="null-property"),
        pytest.param(
            with_source(host="${H:-d}"),
            with_source(host={"kind": "EnvironmentVariable", "name": "H", "default": "d"}),
            id="reference-with-default",
        ),
        pytest.param(
            with_source(host="${H}"),
            with_source(host={"kind": "EnvironmentVariable", "name": "H", "default": None}),
            id="reference",
        ),
    ],
)
def test_the_same_meaning_has_the_same_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert normal_form(one) == normal_form(other)
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({}, {"persistConfig": True}, id="persist-config"),
        pytest.param(with_query(), with_query(autoStart=False), id="query-auto-start"),
        pytest.param(with_query(), with_query(queryLanguage="Cypher"), id="language"),
        pytest.param(with_source(x=1), with_source(x=True), id="one-and-true"),
        pytest.param(with_source(x=1), with_source(X=1), id="unknown-spelling"),
        pytest.param(with_source(x=[1, 2]), with_source(x=[2, 1]), id="order-of-other-lists"),
        pytest.param(with_source(x="a\r\n"), with_source(x="a\n"), id="text-of-plugins"),
        pytest.param(with_source(x="${A}"), with_source(x="${A} "), id="part-is-no-reference"),
    ],
)
def test_another_meaning_has_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest(one) != digest(other)


@unhurried
@given(documents(unique=False))
def test_the_normal_form_is_normal(document: dict[str, Any]) -> None:
    form = normal_form(document)
    assert normal_form(form) == form
    assert digest(form) == digest(document) == digest(canonical(document))


@unhurried
@given(documents(), st.booleans())
def test_spelling_nesting_and_order_do_not_change_the_digest(
    document: dict[str, Any], pascal: bool
) -> None:
    assert digest(respelled(document, pascal=pascal)) == digest(document)


@unhurried
@given(documents(unique=False))
def test_no_property_is_lost_and_nothing_is_shared(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    config = canonical(document)
    for key, value in document.items():
        if key not in {"sources", "queries", "reactions"} and not (
            value is None and key == "stateStore"
        ):
            assert config[key] == value
    for part in ("sources", "queries", "reactions"):
        for given_item, kept in zip(document.get(part, []), config[part], strict=True):
            gone = {key for key, value in given_item.items() if value is None}
            assert set(given_item) - set(kept) <= gone & {"outboxCapacity"}
            for key in set(given_item) - {"queryLanguage", "query"} - gone:
                assert kept[key] == given_item[key]
            if part == "queries":
                assert kept["query"] == given_item["query"].replace("\r\n", "\n")
    _spoil(config)
    _spoil(normal_form(document))
    assert document == before
    assert normal_form({}) == normal_form({})


def _spoil(value: Any) -> None:
    """Change everything that can be changed in place."""
    if isinstance(value, dict):
        for member in value.values():
            _spoil(member)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            _spoil(item)
        value.append("spoilt")


def test_defaults_are_not_shared_between_documents() -> None:
    _spoil(normal_form({"sources": [SOURCE], "queries": [QUERY]}))
    assert "spoilt" not in json.dumps(normal_form({"sources": [SOURCE], "queries": [QUERY]}))


def test_what_is_stored_and_launched_ends_its_lines_as_the_engine_wants() -> None:
    windows = with_query(query="MATCH (o)\r\nRETURN o\r\n")
    assert canonical(windows)["queries"][0]["query"] == "MATCH (o)\nRETURN o\n"
    assert "\r" not in for_launch(windows, instance_id="i")["queries"][0]["query"]


def test_a_long_run_of_returns_is_read_in_linear_time() -> None:
    text = "\r" * 1_000_000 + "a"
    assert normal_form(with_query(query=text))["queries"][0]["query"] == text


def test_three_hundred_components_survive_text_and_spelling() -> None:
    large = {
        part: [
            {**item, "id": f"{part}-{n}", "odd_Key": {"Deep": [n, None]}}
            for n in range(100)
            for item in [{"kind": "mock"} if part != "queries" else {"query": f"RETURN {n}"}]
        ]
        for part in ("sources", "queries", "reactions")
    }
    config = canonical(large)
    assert sum(len(config[part]) for part in large) == 300
    assert config["sources"] == large["sources"]
    assert canonical(json.loads(json.dumps(config))) == config
    assert digest(respelled(large)) == digest(large)


@pytest.mark.parametrize(
    ("document", "name", "expected"),
    [
        pytest.param({}, "id", "i-1", id="id-is-set"),
        pytest.param({"id": "mine"}, "id", "mine", id="own-id"),
        pytest.param({}, "persistConfig", False, id="file-stays"),
        pytest.param({"persistConfig": True}, "persistConfig", True, id="unless-wanted"),
    ],
)
def test_a_launch_file_says_who_it_is(document: dict[str, Any], name: str, expected: Any) -> None:
    assert for_launch(document, instance_id="i-1")[name] == expected


def test_a_launch_file_has_the_words_of_the_server() -> None:
    launch = for_launch(respelled(REALISTIC), instance_id="i")
    assert all(
        item["autoStart"] is True
        for part in ("sources", "queries", "reactions")
        for item in launch[part]
    )
    assert {q["queryLanguage"] for q in launch["queries"]} == {"GQL"}
    assert all("queryText" not in q and q["query"] for q in launch["queries"])
    assert digest(launch) == digest(REALISTIC | {"id": "i"})


def test_the_settings_of_the_server_are_not_observable() -> None:
    other = REALISTIC | {"port": 1, "logLevel": "debug", "persistIndex": True}
    assert observable_digest(other) == observable_digest(REALISTIC)
    changed = copy.deepcopy(REALISTIC)
    changed["sources"][0]["password"] = "other"
    assert observable_digest(changed) != observable_digest(REALISTIC)
