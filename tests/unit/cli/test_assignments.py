"""`--set PATH=VALUE` becomes operations that change exactly the named place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.cli.assignments import operations, parse, split, typed
from draas.cli.exit_codes import Code, CommandError
from draas.model.patch import apply_patch
from tests.support.documents import REALISTIC


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("9090", 9090, id="number"),
        pytest.param('"9090"', "9090", id="quoted number is text"),
        pytest.param("true", True, id="boolean"),
        pytest.param("null", None, id="null"),
        pytest.param("debug", "debug", id="bare word is text"),
        pytest.param("", "", id="nothing is empty text"),
        pytest.param("[1, 2]", [1, 2], id="list"),
        pytest.param('{"a": 1}', {"a": 1}, id="object"),
        pytest.param("MATCH (n {a: 1}) RETURN n", "MATCH (n {a: 1}) RETURN n", id="query"),
    ],
)
def test_a_value_is_json_where_it_can_be(text: str, value: Any) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


@pytest.mark.parametrize(
    ("assignment", "operation"),
    [
        pytest.param("port=9090", ("add", "/port", 9090), id="root"),
        pytest.param(
            "queries[hot].query=MATCH (a) WHERE a.b = 1 RETURN a",
            ("add", "/queries/1/query", "MATCH (a) WHERE a.b = 1 RETURN a"),
            id="component by id, value with equals signs",
        ),
        pytest.param("queries[0].id=x", ("add", "/queries/0/id", "x"), id="component by number"),
        pytest.param(
            "queries[hot].sources[sensors].nodes=[]",
            ("add", "/queries/1/sources/0/nodes", []),
            id="subscription by its source",
        ),
        pytest.param(
            "sources[pg].tables[1]=users",
            ("replace", "/sources/0/tables/1", "users"),
            id="entry of a list is replaced, not inserted",
        ),
        pytest.param(
            "sources[pg].tables[-]=users", ("add", "/sources/0/tables/-", "users"), id="append"
        ),
        pytest.param(
            "sources[sensors].dataType.sensorCount=3",
            ("add", "/sources/1/dataType/sensorCount", 3),
            id="property of a kind, new",
        ),
        pytest.param(
            "reactions[log].routes.a/b~c=1", ("add", "/reactions/1/routes/a~1b~0c", 1), id="escaped"
        ),
    ],
)
def test_an_assignment_names_one_place(assignment: str, operation: tuple[str, str, Any]) -> None:
    op, path, value = operation
    assert operations([assignment], REALISTIC) == [{"op": op, "path": path, "value": value}]


@pytest.mark.parametrize(
    ("assignment", "said", "code"),
    [
        pytest.param("port", "write it as PATH=VALUE", Code.USAGE, id="no value"),
        pytest.param("=1", "write it as PATH=VALUE", Code.USAGE, id="no path"),
        pytest.param("a..b=1", "write the path as", Code.USAGE, id="empty name"),
        pytest.param("[0]=1", "write the path as", Code.USAGE, id="begins with brackets"),
        pytest.param("queries[hot=1", "write it as PATH=VALUE", Code.USAGE, id="open bracket"),
        pytest.param(
            "queries[cold].query=x", "there are open-orders, hot", Code.FAILED, id="unknown id"
        ),
        pytest.param("queries[7].query=x", "there is no [7]", Code.FAILED, id="number too high"),
        pytest.param("port[0]=x", "is no list", Code.FAILED, id="brackets on a number"),
        pytest.param("port.x=1", "is no object", Code.FAILED, id="name below a number"),
        pytest.param("cors.x=1", "there is no cors", Code.FAILED, id="below what is not there"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_way_out(
    assignment: str, said: str, code: Code
) -> None:
    with pytest.raises(CommandError, match=r"^--set ") as caught:
        operations([assignment], REALISTIC)
    assert said in str(caught.value)
    assert caught.value.code == code


def test_what_was_set_is_there_and_nothing_else_changed() -> None:
    made = operations(["port=9090", "queries[hot].query=MATCH (a) RETURN a"], REALISTIC)
    after = apply_patch(REALISTIC, made)
    undone = operations([f"queries[hot].query={REALISTIC['queries'][1]['query']}"], after)
    undone += operations([f"port={REALISTIC['port']}"], after)
    assert after["port"] == 9090
    assert after["queries"][1]["query"] == "MATCH (a) RETURN a"
    assert apply_patch(after, undone) == apply_patch(REALISTIC, [])


_NAMES = st.text(st.characters(exclude_characters=".[]=", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(_NAMES, min_size=1, max_size=4), st.text(max_size=5))
def test_any_path_of_names_reads_back(names: list[str], value: str) -> None:
    path, _ = split(".".join(names) + "=" + value)
    assert parse(path) == names


@given(st.text(max_size=20))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        operations([text], REALISTIC)
    except CommandError as error:
        assert str(error).isprintable()
