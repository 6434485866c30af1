"""Which documents are refused, and how queries are shown."""

from __future__ import annotations

from typing import Any

import pytest

from draas.contract.drasi_server import (
    QUERY,
    QUERY_DEFAULTS,
    QUERY_KEYS,
    REACTION,
    ROOT_KEYS,
    SOURCE,
    SUBSCRIPTION_KEYS,
)
from draas.instance_host.documents import (
    check_component,
    check_root,
    complete_query,
    properties,
    resolved_component,
    snapshot_query,
)
from draas.instance_host.errors import ApiError
from draas.model import names

QUERY_DOCUMENT = {"id": "q", "query": "MATCH (n) RETURN n", "sources": [{"sourceId": "s"}]}


def _query(**keys: Any) -> dict[str, Any]:
    return {**QUERY_DOCUMENT, **keys}


ROOTS = [
    pytest.param(None, "configuration: must be an object", id="null"),
    pytest.param({"Port": 1}, "unknown field `Port`", id="unknown key"),
    pytest.param({"instances": [{"id": "a"}]}, "one process serves one", id="several instances"),
    pytest.param({"sources": {}}, "configuration.sources: must be a list", id="not a list"),
    pytest.param({"queries": [_query(), _query()]}, "'q' is used twice", id="duplicate"),
    pytest.param({"queries": [_query(x=1)]}, "queries[0]: unknown field `x`", id="in a query"),
]


@pytest.mark.parametrize(("document", "named"), ROOTS)
def test_bad_roots_are_refused(document: Any, named: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_root(document)
    assert named in caught.value.message


COMPONENTS = [
    pytest.param(QUERY, {"id": "q"}, "query.query", id="no text"),
    pytest.param(QUERY, _query(id=5), "query.id", id="id is a number"),
    pytest.param(QUERY, _query(id="__q"), "internal", id="internal id"),
    pytest.param(
        QUERY,
        _query(id=""),
        "query.id: must be a non-empty string, not an empty one",
        id="empty id",
    ),
    pytest.param(SOURCE, {"id": "s" * 1001, "kind": "mock"}, "source.id: has 1001", id="long id"),
    pytest.param(QUERY, _query(queryText="x"), "queryText", id="queryText"),
    pytest.param(QUERY, _query(autoStart="yes"), "query.autoStart", id="flag"),
    pytest.param(QUERY, _query(queryLanguage="cypher"), "GQL, Cypher", id="language in lower case"),
    pytest.param(QUERY, _query(queryLanguage=5), "queryLanguage", id="language is a number"),
    pytest.param(QUERY, _query(dispatchMode="Bus"), "dispatchMode", id="dispatch mode"),
    pytest.param(QUERY, _query(outboxCapacity=-1), "outboxCapacity", id="negative capacity"),
    pytest.param(
        QUERY,
        _query(dispatchBufferCapacity=0),
        "query.dispatchBufferCapacity: must be a whole number from 1 to 1000000, not 0",
        id="nothing fits",
    ),
    pytest.param(
        QUERY,
        _query(dispatchBufferCapacity=2**40),
        "query.dispatchBufferCapacity: must be a whole number from 1 to 1000000, not 1099511627776",
        id="immense capacity",
    ),
    pytest.param(QUERY, _query(storageBackend={}), "storageBackend", id="storage"),
    pytest.param(QUERY, _query(middleware=["m"]), "middleware[0]", id="middleware is a string"),
    pytest.param(QUERY, _query(sources=["s"]), "sources[0]", id="subscription is a string"),
    pytest.param(QUERY, _query(sources=[{"id": "s"}]), "unknown field `id`", id="subscription key"),
    pytest.param(QUERY, _query(sources=[{}]), "sourceId", id="no sourceId"),
    pytest.param(
        QUERY, _query(sources=[{"sourceId": {"a": 1}}]), "sourceId", id="sourceId is an object"
    ),
    pytest.param(
        QUERY,
        _query(query=f"MATCH (n) RETURN {'([{' * 86}1{'}])' * 86} AS x"),
        "query.query: has more than 256 brackets in one another",
        id="deep text",
    ),
    pytest.param(QUERY, _query(query={"a": 1}), "query.query", id="text is an object"),
    pytest.param(QUERY, _query(outboxCapacity={}), "outboxCapacity", id="capacity is an object"),
    pytest.param(SOURCE, {"id": "s"}, "source.kind", id="no kind"),
    pytest.param(REACTION, {"id": "r", "kind": "log", "queries": "q"}, "list", id="queries"),
    pytest.param(REACTION, {"id": "r", "kind": "log", "queries": [5]}, "queries[0]", id="query id"),
]


@pytest.mark.parametrize(("kind", "document", "named"), COMPONENTS)
def test_bad_components_are_refused(kind: str, document: Any, named: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_component(kind, document, kind)
    assert named in caught.value.message


def test_brackets_beside_one_another_are_not_deep() -> None:
    many = _query(query=f"MATCH (n) RETURN {'(1) + ' * 300}1 AS x, {'(' * 256}1{')' * 256} AS y")
    assert check_component(QUERY, many, "query") is many


ENVIRONMENT = {"YES": "true", "FIVE": "5", "TEXT": "some text", "EMPTY": "", "S": "s"}

RESOLVED = [
    pytest.param(QUERY, "autoStart", "${YES}", True, id="true"),
    pytest.param(QUERY, "enableBootstrap", "${NO:-false}", False, id="false"),
    pytest.param(QUERY, "outboxCapacity", "${FIVE}", 5, id="capacity"),
    pytest.param(QUERY, "priorityQueueCapacity", "${NO:-6}", 6, id="default"),
    pytest.param(QUERY, "sources", [{"sourceId": "${S}"}], [{"sourceId": "s"}], id="source id"),
    pytest.param(SOURCE, "autoStart", "${NO:-false}", False, id="source"),
    pytest.param(SOURCE, "kind", "${TEXT}", "some text", id="kind"),
    pytest.param(REACTION, "queries", ["a", "${S}"], ["a", "s"], id="queries"),
    pytest.param(SOURCE, "port", "${FIVE}", "5", id="the kind's own are left to the kind"),
    pytest.param(SOURCE, "identityProvider", "${UNSET}", "${UNSET}", id="without an effect"),
]


@pytest.mark.parametrize(("kind", "key", "value", "used"), RESOLVED)
def test_references_become_values_of_the_right_type(
    kind: str, key: str, value: Any, used: Any
) -> None:
    document = {**(QUERY_DOCUMENT if kind == QUERY else {"id": "x", "kind": "k"}), key: value}
    resolved = resolved_component(kind, check_component(kind, document, kind), ENVIRONMENT, "it")
    assert resolved == {**document, key: used}
    assert type(resolved[key]) is type(used)


SENSELESS = [
    pytest.param(QUERY, "autoStart", "${TEXT}", "must be true or false", id="flag"),
    pytest.param(QUERY, "outboxCapacity", "${TEXT}", "must be a whole number", id="capacity"),
    pytest.param(QUERY, "outboxCapacity", "${NO:-0}", "from 1 to 1000000, not 0", id="bounds"),
    pytest.param(QUERY, "query", "${EMPTY}", "must be a non-empty string", id="text"),
    pytest.param(QUERY, "queryLanguage", "${TEXT}", "must be one of", id="language"),
    pytest.param(SOURCE, "kind", "${EMPTY}", "must be a non-empty string", id="kind"),
    pytest.param(SOURCE, "autoStart", "${UNSET}", "UNSET is not set", id="unset"),
]


@pytest.mark.parametrize(("kind", "key", "value", "said"), SENSELESS)
def test_what_makes_no_sense_once_resolved_is_named(
    kind: str, key: str, value: str, said: str
) -> None:
    document = {**(QUERY_DOCUMENT if kind == QUERY else {"id": "x", "kind": "k"}), key: value}
    with pytest.raises(ApiError) as caught:
        resolved_component(kind, check_component(kind, document, kind), ENVIRONMENT, "it")
    assert caught.value.status == 400
    assert f"it.{key}: " in caught.value.message
    assert said in caught.value.message
    assert "some text" not in caught.value.message


def test_references_are_left_for_later() -> None:
    late = _query(query={"kind": "EnvironmentVariable", "name": "T"}, queryLanguage="${L}")
    assert check_component(QUERY, late, "query") is late


def test_a_complete_query_has_every_default_and_no_null() -> None:
    whole = complete_query(_query(joins=None))
    assert whole.keys() == {*QUERY_DEFAULTS, "id", "query"}
    assert whole["sources"] == [{"sourceId": "s", "nodes": [], "relations": [], "pipeline": []}]


def test_a_snapshot_mixes_cases() -> None:
    shown = snapshot_query(_query(priorityQueueCapacity=5, dispatchMode="Channel"))
    assert {"auto_start", "priority_queue_capacity", "dispatch_mode"} <= shown.keys()
    assert {"queryLanguage", "enableBootstrap", "bootstrapBufferSize"} <= shown.keys()
    assert shown["sources"][0]["source_id"] == "s"


def test_properties_are_what_belongs_to_the_kind() -> None:
    document = {"kind": "log", "id": "r", "autoStart": True, "queries": [], "routes": {}, "x": 1}
    assert properties(REACTION, document) == {"routes": {}, "x": 1}
    assert properties(SOURCE, document) == {"queries": [], "routes": {}, "x": 1}


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        pytest.param(names.ROOT, ROOT_KEYS, id="root"),
        pytest.param(names.QUERY, QUERY_KEYS, id="query"),
        pytest.param(names.SUBSCRIPTION, SUBSCRIPTION_KEYS, id="subscription"),
    ],
)
def test_what_is_stored_can_be_started(table: names.Names, keys: frozenset[str]) -> None:
    """A key that the control plane takes and the server refuses would only fail at the start."""
    assert set(table.values()) == keys
