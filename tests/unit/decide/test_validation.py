"""Every fault by path, with the value and the way out."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.decide.hints import MOST
from draas.decide.validation import validate
from draas.model.configuration import ConfigurationError, canonical, digest, from_snapshot
from draas.model.faults import MOST_FAULTS
from tests.support.documents import REALISTIC, respelled, unhurried


def source(**members: Any) -> dict[str, Any]:
    return {"sources": [{"kind": "x", "id": "s"} | members]}


def query(**members: Any) -> dict[str, Any]:
    return {"queries": [{"id": "q", "query": "a"} | members]}


def reaction(**members: Any) -> dict[str, Any]:
    return {"reactions": [{"kind": "x", "id": "r"} | members]}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="empty"),
        pytest.param(REALISTIC, id="realistic"),
        pytest.param(respelled(REALISTIC), id="other-words"),
        pytest.param(canonical(REALISTIC), id="canonical"),
        pytest.param({"port": "${PORT:-8080}", "host": "${H}", "logLevel": "${L}"}, id="refs"),
        pytest.param({"port": {"kind": "EnvironmentVariable", "name": "P"}}, id="reference-object"),
        pytest.param({"host": "::1"}, id="ipv6"),
        pytest.param({"host": "db-1.example"}, id="host-name"),
        pytest.param({"logLevel": "WARN"}, id="level-in-any-case"),
        pytest.param({"secretStore": {"kind": "file"}, "plugins": []}, id="known-root-keys"),
        pytest.param({"instances": []}, id="no-further-instances"),
        pytest.param(source(Anything={"x": None}, queries="y"), id="free-keys-of-sources"),
        pytest.param(reaction(Routes=1), id="free-keys-of-reactions"),
        pytest.param(query(sources=[{"sourceId": "${S}"}]), id="source-by-reference"),
        pytest.param(source(kind="mock", intervalMs="250", dataType="counter"), id="mock-in-texts"),
        pytest.param(
            source(kind="mock", intervalMs="${I}", dataType={"type": "${T:-generic}"}),
            id="mock-by-references",
        ),
        pytest.param(
            {"host": "127.0.0.1", "port": 9000} | source(kind="http", host="127.0.0.2", port=9000),
            id="one-port-of-two-hosts",
        ),
        pytest.param(
            {"port": "${P}"} | source(kind="http", host="${H}", port=9000), id="ports-by-reference"
        ),
    ],
)
def test_what_can_be_run(document: dict[str, Any]) -> None:
    assert validate(document) == ()


KINDS = {"sources": ("http", "mock"), "reactions": ("log",)}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        pytest.param(source(kind="htpp"), "sources[s].kind", "did you mean 'http'?", id="typo"),
        pytest.param(
            reaction(kind="teams"), "reactions[r].kind", "Process:PluginsDirectory", id="unknown"
        ),
    ],
)
def test_a_kind_that_no_server_has(document: dict[str, Any], path: str, words: str) -> None:
    (fault,) = validate(document, KINDS)
    assert fault.path == path
    assert words in fault.message
    assert validate(document) == (), "elsewhere a plugin may have it"


def test_a_kind_that_a_plugin_could_bring_is_one_for_what_does_not_run() -> None:
    postgres = source(kind="postgres", password="p")
    assert validate(postgres, KINDS, to_run=False) == ()
    (fault,) = validate(postgres, KINDS)
    assert fault.message.startswith("no server here has the kind 'postgres', only http, mock.")
    assert validate(source(kind="htpp"), KINDS, to_run=False)


def test_what_does_not_run_may_wait_for_an_address_of_its_own() -> None:
    same = {"port": 9000} | source(kind="http", port=9000)
    assert validate(same)
    assert validate(same, to_run=False) == ()


@pytest.mark.parametrize("kind", ["http", "${KIND}"])
def test_a_kind_that_a_server_has_or_may_have(kind: str) -> None:
    assert validate(source(kind=kind), KINDS) == ()


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        pytest.param([], "", "must be a JSON object", id="no-object"),
        pytest.param({"port": True}, "port", "must be a whole number", id="port-true"),
        pytest.param(
            source(kind="mock", intervalMs=0), "sources[s].intervalMs", "from 1", id="mock-interval"
        ),
        pytest.param(
            source(kind="mock", dataType={"type": "nope"}),
            "sources[s].dataType",
            "use one of counter, sensorReading, generic",
            id="mock-data",
        ),
        pytest.param(
            source(kind="mock", dataType={"type": ["x"]}), "sources[s].dataType", "type", id="list"
        ),
        pytest.param(
            source(kind="http", port=70000), "sources[s].port", "1 to 65535", id="http-port"
        ),
        pytest.param(source(kind="http", port="x"), "sources[s].port", "'x'", id="http-port-text"),
        pytest.param(
            reaction(kind="sse", ssePath="/q?x"), "reactions[r].ssePath", "leave ?", id="sse-path"
        ),
        pytest.param(
            reaction(kind="sse", ssePath="/%71"), "reactions[r].ssePath", "%", id="sse-path-encoded"
        ),
        pytest.param(
            reaction(kind="http", timeoutMs="-1"), "reactions[r].timeoutMs", "'-1'", id="timeout"
        ),
        pytest.param(
            {"port": 9000} | source(kind="http", port=9000),
            "sources[s].port",
            "that of the server itself already",
            id="listens-where-the-server-does",
        ),
        pytest.param(
            {"port": 9000} | source(kind="http", port="9000"),
            "sources[s].port",
            "port 9000 is that of the server itself already",
            id="listens-where-the-server-does-by-text",
        ),
        pytest.param(
            source(kind="http", host="127.0.0.1") | reaction(kind="sse"),
            "reactions[r].port",
            "that of source 's' already",
            id="two-at-the-default-port",
        ),
        pytest.param(query(middleware=["x"]), "queries[q].middleware", "objects", id="middleware"),
        pytest.param(query(joins=["x"]), "queries[q].joins", "objects", id="joins"),
        pytest.param({"sources": 3}, "sources", "list", id="no-form"),
        pytest.param({"port": 0}, "port", "0 is out of range: use a whole number from 1", id="0"),
        pytest.param({"port": 70000}, "port", "to 65535", id="port-too-large"),
        pytest.param({"port": "8080"}, "port", "'8080'", id="port-text"),
        pytest.param({"port": 80.5}, "port", "80.5", id="port-fraction"),
        pytest.param({"port": True}, "port", "True", id="port-boolean"),
        pytest.param({"host": "a b"}, "host", "use an IP address", id="host"),
        pytest.param({"host": ""}, "host", "use an IP address", id="host-empty"),
        pytest.param({"host": "256.0.0.1"}, "host", "'256.0.0.1' is no host", id="address"),
        pytest.param({"host": 1}, "host", "host", id="host-number"),
        pytest.param({"logLevel": "loud"}, "logLevel", "trace, debug, info", id="log-level"),
        pytest.param({"persistIndex": "yes"}, "persistIndex", "true or false", id="switch"),
        pytest.param({"hotReloadDebounceMs": -1}, "hotReloadDebounceMs", "-1", id="count"),
        pytest.param({"id": "a/b"}, "id", "no usable id", id="server-id"),
        pytest.param({"prot": 1}, "prot", "did you mean 'port'?", id="unknown-root-key"),
        pytest.param({"zzz": 1}, "zzz", "known are apiVersion", id="unknown-far-away"),
        pytest.param({"instances": [{}]}, "instances", "create one for each", id="instances"),
        pytest.param(source(kind=""), "sources[s].kind", "not empty", id="kind-empty"),
        pytest.param(source(kind=4), "sources[s].kind", "4", id="kind-no-text"),
        pytest.param(source(kind=None), "sources[s].kind", "a source needs kind", id="no-kind"),
        pytest.param(source(id=None), "sources[0].id", "a source needs id", id="no-id"),
        pytest.param(source(id=8), "sources[0].id", "8 is not text", id="id-number"),
        pytest.param(source(id="__s"), "sources[__s].id", "'__'", id="internal-id"),
        pytest.param(source(id="../x"), "sources[../x].id", "letters, digits", id="unsafe-id"),
        pytest.param(source(id="x" * 129), f"sources[{'x' * 129}].id", "128", id="long-id"),
        pytest.param(source(autoStart=1), "sources[s].autoStart", "true or false", id="auto"),
        pytest.param(
            {"sources": source()["sources"] * 2}, "sources[s].id", "used twice", id="duplicate"
        ),
        pytest.param(query(query=None), "queries[q].query", "needs query", id="no-query"),
        pytest.param(query(query=" \n"), "queries[q].query", "not empty", id="empty-query"),
        pytest.param(query(kind="x"), "queries[q].kind", "no property 'kind'", id="query-key"),
        pytest.param(
            query(outboxCapcity=1), "queries[q].outboxCapcity", "'outboxCapacity'?", id="typo"
        ),
        pytest.param(query(queryLanguage="SQL"), "queries[q].queryLanguage", "GQL", id="language"),
        pytest.param(query(dispatchMode="x"), "queries[q].dispatchMode", "Channel", id="mode"),
        pytest.param(query(middleware={}), "queries[q].middleware", "list", id="middleware"),
        pytest.param(query(outboxCapacity=0), "queries[q].outboxCapacity", "1 to", id="capacity"),
        pytest.param(
            query(dispatchBufferCapacity=1_000_001),
            "queries[q].dispatchBufferCapacity",
            "from 1 to 1000000",
            id="immense capacity",
        ),
        pytest.param(
            query(sources=[{"sourceId": "s"}]),
            "queries[q].sources[0].sourceId",
            "no source has the id 's'; there are no sources",
            id="unknown-source",
        ),
        pytest.param(
            query(sources=[{}]), "queries[q].sources[0].sourceId", "needs sourceId", id="no-source"
        ),
        pytest.param(
            query(sources=[{"sourceId": "${S}", "node": []}]),
            "queries[q].sources[0].node",
            "did you mean 'nodes'?",
            id="subscription-key",
        ),
        pytest.param(
            query(sources=[{"sourceId": 3}]),
            "queries[q].sources[0].sourceId",
            "3 is not text",
            id="source-number",
        ),
        pytest.param(
            reaction(queries=["open-order"]) | {"queries": [{"id": "open-orders", "query": "a"}]},
            "reactions[r].queries[0]",
            "there are open-orders; did you mean 'open-orders'?",
            id="unknown-query",
        ),
        pytest.param(reaction(queries=[3]), "reactions[r].queries[0]", "id of a query", id="int"),
        pytest.param(reaction(queries="q"), "reactions[r].queries", "list", id="queries-no-list"),
    ],
)
def test_a_fault_names_place_value_and_way_out(document: Any, path: str, words: str) -> None:
    (fault,) = validate(document)
    assert fault.path == path
    assert words in fault.message


def test_all_faults_are_told_at_once() -> None:
    document = {"port": 0, "host": "a b"} | source(id="__s") | query(query="")
    assert [fault.path for fault in validate(document)] == [
        "host",
        "port",
        "sources[__s].id",
        "queries[q].query",
    ]


def test_faults_tell_no_secret() -> None:
    faults = validate({"password": "hunter2", "host": "http://u:hunter2@h"})
    assert len(faults) == 2
    assert "hunter2" not in repr(faults)


_names = st.sampled_from(
    [
        "id",
        "kind",
        "Port",
        "host",
        "serverConfiguration",
        "sources",
        "Queries",
        "reactions",
        "query",
        "sourceId",
        "middleware",
        "joins",
        "dataType",
        "type",
        "config",
        "properties",
        "name",
        "default",
    ]
)
_wild = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["a", "", "mock", "${V}"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=4)
    ),
    max_leaves=25,
)


@unhurried
@given(st.dictionaries(_names, _wild, max_size=6))
def test_garbage_has_faults_or_a_form_but_never_a_crash(document: dict[str, Any]) -> None:
    faults = validate(document)
    try:
        assert digest(document)
    except ConfigurationError as error:
        assert faults == error.faults
    with contextlib.suppress(ConfigurationError):
        from_snapshot(document)


FLOODS = {
    "no objects": {"sources": list(range(3 * MOST_FAULTS))},
    "no sources": {
        "sources": [{"kind": "mock", "id": f"source-{n}"} for n in range(3 * MOST_FAULTS)],
        "queries": [
            {"id": f"q{n}", "query": "MATCH (n) RETURN n", "sources": [{"sourceId": f"no{n}"}]}
            for n in range(3 * MOST_FAULTS)
        ],
    },
}


@pytest.mark.parametrize("document", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_of_faults_is_told_in_bounded_words(document: dict[str, Any]) -> None:
    faults = validate(document)
    assert len(faults) == MOST_FAULTS + 1
    assert faults[-1].path == "document" and "more faults" in faults[-1].message
    assert sum(len(str(fault)) for fault in faults) < 1_000_000


def test_only_the_first_faults_say_what_was_meant() -> None:
    queries = [{"id": f"orders-of-shop-{n}", "query": "a"} for n in range(100)]
    reactions = [
        {"kind": "log", "id": f"r{n}", "queries": [f"order-of-shops-{n}"]} for n in range(400)
    ]
    found = validate({"queries": queries, "reactions": reactions})
    assert len(found) == 400
    assert ["did you mean" in each.message for each in found] == [n < MOST for n in range(400)]
