"""JSON Patch: any spelling of a pointer, all operations or none, typed failures."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.model.configuration import ConfigurationError, canonical
from draas.model.patch import (
    PatchError,
    PatchMalformed,
    PatchPathMissing,
    PatchTestFailed,
    apply_server_patch,
)
from draas.model.patch import apply_patch as apply
from tests.support.documents import REALISTIC, documents, json_values, unhurried

SERVER_PART = {"host": "127.0.0.1", "Port": 8081, "log_level": "info"}
OPEN_ORDERS = {
    "Id": "open-orders",
    "queryText": "MATCH (o:Order) WHERE o.open RETURN o.id",
    "sources": [{"SourceId": "pg", "nodes": ["Order"]}],
}


def op(kind: str, path: Any, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"op": kind, "path": path, "value": value} | more


@pytest.mark.parametrize(
    ("operations", "place", "expected"),
    [
        pytest.param([op("replace", "/port", 9)], ("port",), 9, id="root"),
        pytest.param([op("replace", "/Port", 9.0)], ("port",), 9, id="any-case"),
        pytest.param([op("replace", "/log_level", "x")], ("logLevel",), "x", id="snake-case"),
        pytest.param([op("replace", "/serverConfiguration/port", 9)], ("port",), 9, id="nested"),
        pytest.param([op("replace", "/ServerConfiguration/Port", 9)], ("port",), 9, id="pascal"),
        pytest.param(
            [op("replace", "/serverConfiguration", {"Port": 9})], ("port",), 9, id="nested-whole"
        ),
        pytest.param(
            [op("replace", "/Queries/0/QueryText", "x")], ("queries", 0, "query"), "x", id="query"
        ),
        pytest.param(
            [op("add", "/queries/0/sources/0/SourceId", "x")],
            ("queries", 0, "sources", 0, "sourceId"),
            "x",
            id="subscription",
        ),
        pytest.param(
            [op("add", "/sources/0/Odd_Key", {"Id": 1})],
            ("sources", 0, "Odd_Key", "Id"),
            1,
            id="unknown-keeps-its-spelling",
        ),
        pytest.param(
            [
                op("add", "/queries/-", {"Id": "n", "QueryText": "a"}),
                op("replace", "/queries/2/queryText", "b"),
            ],
            ("queries", 2, "query"),
            "b",
            id="what-was-just-added",
        ),
        pytest.param(
            [
                op("replace", "/queries/0/sources", [{"SourceId": "a"}]),
                op("replace", "/queries/0/sources/0/sourceId", "b"),
            ],
            ("queries", 0, "sources", 0, "sourceId"),
            "b",
            id="subscriptions-that-were-just-added",
        ),
        pytest.param(
            [
                op("add", "/queries/0/sources/-", {"SourceId": "a"}),
                op("replace", "/queries/0/sources/1/sourceId", "b"),
            ],
            ("queries", 0, "sources", 1, "sourceId"),
            "b",
            id="a-subscription-that-was-just-added",
        ),
        pytest.param(
            [
                op("replace", "/reactions", [{"Id": "a", "Kind": "log"}]),
                op("replace", "/reactions/0/id", "b"),
            ],
            ("reactions", 0, "id"),
            "b",
            id="a-list-that-was-just-added",
        ),
        pytest.param(
            [
                op("replace", "", {"Queries": [{"Id": "a", "QueryText": "x"}]}),
                op("replace", "/queries/0/query", "y"),
            ],
            ("queries", 0, "query"),
            "y",
            id="a-whole-that-was-just-given",
        ),
        pytest.param(
            [{"op": "remove", "path": "/sources/0"}], ("sources", 0, "id"), "sensors", id="remove"
        ),
        pytest.param(
            [{"op": "copy", "from": "/Sources/0/tables", "path": "/sources/1/tables"}],
            ("sources", 1, "tables"),
            ["orders", "customers"],
            id="copy",
        ),
        pytest.param(
            [{"op": "move", "from": "/reactions/1/queries/0", "path": "/reactions/0/queries/-"}],
            ("reactions", 0, "queries"),
            ["open-orders", "hot"],
            id="move",
        ),
        pytest.param(
            [
                op("test", "/serverConfiguration", SERVER_PART),
                op("replace", "/port", 9),
            ],
            ("port",),
            9,
            id="test-then-replace",
        ),
        pytest.param(
            [
                op("test", "/queries/0", OPEN_ORDERS),
                op("replace", "/port", 9),
            ],
            ("port",),
            9,
            id="test-in-another-spelling",
        ),
        pytest.param(
            [op("replace", "/port", 9, operationType=2, FROM=None)],
            ("port",),
            9,
            id="members-that-the-operation-does-not-define",
        ),
        pytest.param(
            [{"op": "remove", "path": "/logLevel", "value": 1, "Value": 2, "from": 3}],
            ("host",),
            "127.0.0.1",
            id="undefined-members-in-two-spellings",
        ),
    ],
)
def test_what_a_patch_does(
    operations: list[dict[str, Any]], place: tuple[Any, ...], expected: Any
) -> None:
    found: Any = apply(REALISTIC, operations)
    for step in place:
        found = found[step]
    assert found == expected


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        pytest.param({}, PatchMalformed, id="object"),
        pytest.param("[]", PatchMalformed, id="text"),
        pytest.param([3], PatchMalformed, id="operation-no-object"),
        pytest.param([op("merge", "/port", 1)], PatchMalformed, id="unknown-op"),
        pytest.param([{"op": ["add"], "path": ""}], PatchMalformed, id="op-no-text"),
        pytest.param([{"op": "add", "value": 1}], PatchMalformed, id="no-path"),
        pytest.param([{"op": "add", "path": "/port"}], PatchMalformed, id="no-value"),
        pytest.param([{"op": "move", "path": "/port"}], PatchMalformed, id="no-from"),
        pytest.param([op("add", "port", 1)], PatchMalformed, id="no-pointer"),
        pytest.param([op("add", "/a~2", 1)], PatchMalformed, id="bad-escape"),
        pytest.param([op("add", 3, 1)], PatchMalformed, id="pointer-no-text"),
        pytest.param([op("add", "/x", float("inf"))], PatchMalformed, id="value-no-json"),
        pytest.param(
            [{"op": "remove", "path": "/serverConfiguration"}], PatchMalformed, id="nested-remove"
        ),
        pytest.param([op("replace", "/nope", 1)], PatchPathMissing, id="replace-missing"),
        pytest.param([op("add", "/nope/x", 1)], PatchPathMissing, id="parent-missing"),
        pytest.param([op("add", "/sources/9", {})], PatchPathMissing, id="index-too-large"),
        pytest.param([op("add", "/sources/x", {})], PatchPathMissing, id="index-no-number"),
        pytest.param([op("add", "/host/x", 1)], PatchPathMissing, id="below-a-text"),
        pytest.param([{"op": "remove", "path": "/sources/-"}], PatchPathMissing, id="after-last"),
        pytest.param([{"op": "remove", "path": ""}], PatchPathMissing, id="remove-everything"),
        pytest.param([op("test", "/sources/-", 1)], PatchTestFailed, id="test-after-last"),
        pytest.param([op("test", "/nope", 1)], PatchTestFailed, id="test-missing"),
        pytest.param(
            [{"op": "move", "from": "/sources", "path": "/sources/0"}],
            PatchPathMissing,
            id="move-into-itself",
        ),
        pytest.param([op("test", "/port", 1)], PatchTestFailed, id="test"),
        pytest.param([op("test", "/serverConfiguration", {})], PatchTestFailed, id="test-nothing"),
        pytest.param(
            [op("test", "/serverConfiguration", {"port": 8081})], PatchTestFailed, id="test-a-part"
        ),
        pytest.param(
            [op("test", "/serverConfiguration", {**SERVER_PART, "sources": []})],
            PatchTestFailed,
            id="test-more",
        ),
        pytest.param(
            [op("add", "/serverConfiguration", {"port": 1, "PORT": 2})],
            ConfigurationError,
            id="two-spellings-nested",
        ),
        pytest.param(
            [op("replace", "", {"port": 1, "PORT": 2})], ConfigurationError, id="two-spellings"
        ),
        pytest.param(
            [op("add", "/x", 1), op("test", "/x", True)], PatchTestFailed, id="one-is-not-true"
        ),
        pytest.param([op("replace", "", 3)], ConfigurationError, id="document-no-object"),
        pytest.param([op("add", "/sources", 3)], ConfigurationError, id="sources-no-list"),
    ],
)
def test_a_failure_is_typed_and_changes_nothing(operations: Any, error: type[Exception]) -> None:
    document = canonical(REALISTIC)
    before = copy.deepcopy(document)
    first = [op("replace", "/port", 1234)] if isinstance(operations, list) else []
    if error is not PatchTestFailed and first:
        operations = first + operations
    with pytest.raises(error):
        apply(document, operations)
    assert document == before


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([op("test", "/sources/0/password", "guess")], id="test"),
        pytest.param([op("test", "/sources/0", {"password": "hunter2"})], id="test-object"),
        pytest.param([{"op": "remove", "path": "/nope/x"}], id="missing"),
        pytest.param([op("add", "/sources/0/password/x", 1)], id="below-the-secret"),
        pytest.param([op("test", "/sources/9/password", "hunter2")], id="test-where-nothing-is"),
    ],
)
def test_failures_tell_no_secret(operations: list[dict[str, Any]]) -> None:
    with pytest.raises(PatchError) as caught:
        apply(REALISTIC, operations)
    assert "hunter2" not in str(caught.value) + repr(vars(caught.value))


def test_a_failed_test_says_what_was_there() -> None:
    with pytest.raises(PatchTestFailed) as caught:
        apply(REALISTIC, [op("test", "/Port", 1)])
    assert (caught.value.path, caught.value.expected, caught.value.actual) == ("/port", 1, 8081)


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        pytest.param(
            op("test", "/enableUi", True),
            "/enableUi: the test expected true but found nothing there",
            id="a test where nothing is",
        ),
        pytest.param(
            op("test", "/port", None), "/port: the test expected null but found 8081", id="a test"
        ),
        pytest.param(
            op("add", True, 1), "operation 0: bad JSON pointer: true is not text", id="a pointer"
        ),
        pytest.param(
            {"op": "move", "from": "/sources", "path": "/sources/0"},
            "/sources/0: /sources cannot be moved into itself",
            id="a move",
        ),
    ],
)
def test_failures_speak_json(operation: dict[str, Any], text: str) -> None:
    with pytest.raises(PatchError) as caught:
        apply(REALISTIC, [operation])
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param(op("replace", "/Port", 9), {"port": 9}, id="a field"),
        pytest.param(op("replace", "/serverConfiguration/port", 9), {"port": 9}, id="nested"),
        pytest.param(
            op("replace", "", {"host": "::1", "Port": 9}), {"host": "::1", "port": 9}, id="whole"
        ),
        pytest.param(op("test", "", SERVER_PART), {}, id="test of the whole"),
    ],
)
def test_a_patch_of_the_server_part(operation: dict[str, Any], expected: dict[str, Any]) -> None:
    assert apply_server_patch(REALISTIC, [operation]) == canonical(REALISTIC) | expected


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        pytest.param({"op": "remove", "path": "/queries/0"}, PatchPathMissing, id="a query"),
        pytest.param(op("add", "/enableUi", False), PatchPathMissing, id="another setting"),
        pytest.param(op("add", "/host/x", 1), PatchPathMissing, id="below"),
        pytest.param(
            {"op": "copy", "from": "/sources/0/password", "path": "/host"},
            PatchPathMissing,
            id="from elsewhere",
        ),
        pytest.param(op("replace", "", {"sources": []}), PatchPathMissing, id="a whole with more"),
        pytest.param(op("test", "", {"port": 8081}), PatchTestFailed, id="a test of a part"),
        pytest.param(op("replace", "", [1]), PatchMalformed, id="a whole that is no object"),
        pytest.param({"op": "remove", "path": ""}, PatchMalformed, id="the whole removed"),
    ],
)
def test_a_patch_of_the_server_part_reaches_nothing_else(
    operation: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        apply_server_patch(REALISTIC, [op("replace", "/port", 9), operation])


def test_members_of_an_operation_may_be_spelled_in_any_case() -> None:
    assert apply({}, [{"Op": "add", "Path": "/Port", "Value": 1}])["port"] == 1
    with pytest.raises(PatchMalformed, match="two spellings"):
        apply({}, [{"op": "add", "path": "/port", "value": 1, "Value": 2}])


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(
            [{"op": "copy", "from": "/sources/0", "path": f"/sources/0/c{n}"} for n in range(40)],
            id="each copy doubles",
        ),
        pytest.param(
            [{"op": "copy", "from": "/sources/0", "path": "/sources/0/c"}] * 700,
            id="each copy nests",
        ),
        pytest.param([op("replace", "/port", 1)] * 2_001, id="too many"),
    ],
)
def test_a_small_patch_makes_no_giant(operations: list[dict[str, Any]]) -> None:
    with pytest.raises(PatchMalformed):
        apply({"sources": [{"kind": "a", "id": "b"}]}, operations)


_pointers = st.sampled_from(
    ["", "/port", "/sources", "/sources/0", "/Sources/-", "/queries/0/queryText", "/a", "/a/b"]
)
_operations = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "replace", "remove", "move", "copy", "test"]),
            "path": _pointers,
            "from": _pointers,
            "value": json_values,
        }
    ),
    max_size=4,
)


@unhurried
@given(documents(), _operations)
def test_neither_argument_is_changed_and_the_result_is_canonical(
    document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    before = copy.deepcopy((document, operations))
    try:
        result = apply(document, operations)
    except (PatchError, ConfigurationError):
        pass
    else:
        assert canonical(result) == result
    assert (document, operations) == before
