"""Changing a server in place: the order of the steps, and what they never touch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.decide.hot_apply import Step, hot_steps, settings_changed
from draas.model.configuration import observable

Document = dict[str, Any]


def document(
    sources: dict[str, int], queries: dict[str, tuple[int, str]], reactions: dict[str, list[str]]
) -> Document:
    return {
        "port": 8081,
        "sources": [
            {"id": id, "kind": "mock", "intervalMs": 1000 + version}
            for id, version in sources.items()
        ],
        "queries": [
            {"id": id, "query": f"MATCH (n) RETURN {version}", "sources": [{"sourceId": source}]}
            for id, (version, source) in queries.items()
        ],
        "reactions": [
            {"id": id, "kind": "log", "queries": queries} for id, queries in reactions.items()
        ],
    }


BASE = document({"s": 1, "t": 1}, {"q": (1, "s"), "r": (1, "t")}, {"one": ["q"], "two": ["r"]})


def told(before: Document, after: Document, **options: Any) -> list[str]:
    steps = hot_steps(before, before, after, **options)
    return [f"{step.action} {step.part}/{step.id}" for step in steps]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(BASE, [], id="nothing"),
        pytest.param(
            document(
                {"s": 1, "t": 1}, {"q": (2, "s"), "r": (1, "t")}, {"one": ["q"], "two": ["r"]}
            ),
            ["delete reactions/one", "delete queries/q", "post queries/q", "post reactions/one"],
            id="a query, with the reaction that depends on it",
        ),
        pytest.param(
            document(
                {"s": 2, "t": 1}, {"q": (1, "s"), "r": (1, "t")}, {"one": ["q"], "two": ["r"]}
            ),
            ["put sources/s"],
            id="a source",
        ),
        pytest.param(
            document({"t": 1}, {"r": (1, "t")}, {"two": ["r"]}),
            ["delete reactions/one", "delete queries/q", "delete sources/s"],
            id="a source and what depends on it goes",
        ),
        pytest.param(
            document(
                {"s": 1, "t": 1}, {"q": (1, "s"), "r": (1, "t")}, {"one": ["q", "r"], "two": ["r"]}
            ),
            ["put reactions/one"],
            id="a reaction",
        ),
    ],
)
def test_the_steps_touch_only_what_changed(after: Document, expected: list[str]) -> None:
    assert told(BASE, after) == expected


@pytest.mark.parametrize(
    ("forgotten", "expected"),
    [
        pytest.param(["q", "r"], ["stop queries/q", "start queries/q"], id="they run"),
        pytest.param(["r"], [], id="the one that reads it does not run"),
    ],
)
def test_queries_that_a_server_forgets_with_a_source_are_started_again(
    forgotten: list[str], expected: list[str]
) -> None:
    after = document({"s": 2, "t": 1}, {"q": (1, "s"), "r": (1, "t")}, {"one": ["q"], "two": ["r"]})
    assert told(BASE, after, forgotten=forgotten) == ["put sources/s", *expected]


def test_what_should_run_and_does_not_is_started() -> None:
    assert told(BASE, BASE, idle=[("queries", "q")]) == ["start queries/q"]


def test_what_no_server_reports_is_compared_with_what_was_applied() -> None:
    after = document({"s": 1, "t": 1}, {"q": (1, "s"), "r": (1, "t")}, {})
    before = document({"s": 1, "t": 1}, {"q": (1, "s"), "r": (1, "t")}, {})
    after["sources"][0]["bootstrapProvider"] = {"kind": "noop"}
    steps = hot_steps(before, before, after)
    assert [(step.action, step.id) for step in steps] == [("put", "s")]
    assert steps[0].document is not None
    assert steps[0].document["bootstrapProvider"] == {"kind": "noop"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"port": 9}, ("port",), id="port"),
        pytest.param({"logLevel": "debug", "persistIndex": True}, ("logLevel", "persistIndex")),
        pytest.param({"logLevel": "INFO"}, (), id="the same in other words"),
        pytest.param({"queries": []}, (), id="components do not count"),
    ],
)
def test_settings_of_the_server_itself_need_a_restart(
    change: Document, expected: tuple[str, ...]
) -> None:
    assert settings_changed(BASE, BASE | change) == expected


NAMES = st.sampled_from(["a", "b", "c"])


@st.composite
def documents(draw: st.DrawFn) -> Document:
    sources = draw(st.dictionaries(NAMES, st.integers(1, 2), min_size=1))
    owner = st.sampled_from(sorted(sources))
    queries = draw(st.dictionaries(NAMES, st.tuples(st.integers(1, 2), owner)))
    known = sorted(queries)
    wanted = st.lists(st.sampled_from(known), unique=True, min_size=1) if known else st.just([])
    return document(sources, queries, draw(st.dictionaries(NAMES, wanted)))


class Server:
    """Keeps components as a Drasi server does: dependents block a deletion, ids are unique."""

    def __init__(self, present: Document) -> None:
        self.parts = {
            part: {each["id"]: each for each in observable(present)[part]}
            for part in ("sources", "queries", "reactions")
        }

    def take(self, step: Step) -> None:
        part = self.parts[step.part]
        match step.action:
            case "delete":
                assert not self._dependents(step), f"{step} has dependents"
                del part[step.id]
            case "post":
                assert step.id not in part and step.document is not None
                part[step.id] = step.document
            case "put":
                assert step.document is not None
                part[step.id] = step.document

    def _dependents(self, step: Step) -> list[str]:
        if step.part == "sources":
            return [
                id
                for id, query in self.parts["queries"].items()
                if step.id in [each["sourceId"] for each in query["sources"]]
            ]
        if step.part == "queries":
            reactions = self.parts["reactions"].items()
            return [id for id, reaction in reactions if step.id in reaction["queries"]]
        return []

    def document(self) -> Document:
        return {part: list(components.values()) for part, components in self.parts.items()}


@given(documents(), documents(), st.integers(0, 20))
def test_from_wherever_it_broke_off_the_steps_lead_to_what_is_wanted(
    before: Document, after: Document, done: int
) -> None:
    server = Server(before)
    for step in hot_steps(before, before, after)[:done]:
        server.take(step)
    for step in hot_steps(server.document(), before, after):
        server.take(step)
    assert observable(server.document()) == observable(after)
