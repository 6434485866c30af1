"""What people read: tables, explanations, differences; nothing can steer their terminal."""

from __future__ import annotations

from typing import Any

import pytest

from draas.cli import output
from draas.cli.apply import difference_line
from draas.cli.drift import code_of_explanation, drift_of, explanation
from draas.cli.exit_codes import Code
from draas.cli.text import cell, shown
from draas.entrypoints.up.story import line

IN_SYNC = {"verdict": "in-sync", "kinds": [], "reason": ""}
STATE = {
    "status": "Running",
    "desiredRunState": "Running",
    "health": "Healthy",
    "generation": 2,
    "operation": None,
    "quarantine": None,
    "nextLook": None,
}
HELD: dict[str, Any] = {
    "instanceId": "orders",
    "summary": ["Port: 1 → 2"],
    "differences": [{"path": "port", "kind": "changed", "actual": 1, "desired": 2}],
    "state": STATE,
    "plan": {
        "drift": {"verdict": "drifted", "kinds": ["configuration"], "reason": "it changed"},
        "decision": "held",
        "reason": "",
        "strategy": "Restart",
        "steps": ["stop", "start"],
        "restoresLastGood": False,
        "gates": [
            {"name": "operation", "passed": True, "reason": "", "until": None},
            {"name": "back-off", "passed": False, "reason": "2 failed in a row", "until": None},
        ],
        "nextLook": None,
    },
}


def test_an_explanation_has_differences_gates_in_order_and_the_plan() -> None:
    assert explanation(HELD) == [
        "orders: drifted (configuration): it changed",
        "  status Running, desired Running, health Healthy, generation 2",
        "Differences",
        "  ~ port: 1 → 2",
        "Gates",
        "  ✓ operation",
        "  ✗ back-off: 2 failed in a row",
        "Decision: held",
        "Plan: Restart, towards the desired one",
        "  1. stop",
        "  2. start",
        "Next look: at a change, or at the next periodic check",
    ]


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        pytest.param(
            ["change", "periodic"], "at a change, or at the next periodic check", id="both"
        ),
        pytest.param(["change"], "at a change", id="events"),
        pytest.param(["periodic"], "at the next periodic check", id="periodic"),
        pytest.param([], "by hand only, `draas reconcile orders`", id="none"),
    ],
)
def test_the_next_look_is_one_that_there_is(looks: list[str], said: str) -> None:
    assert explanation(HELD | {"looks": looks})[-1] == f"Next look: {said}"


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        pytest.param("drifted", Code.OK, id="drift is explained"),
        pytest.param("unknown", Code.UNKNOWN, id="what cannot be told is not"),
    ],
)
def test_an_explanation_without_knowledge_has_the_exit_code_of_that(
    verdict: str, code: Code
) -> None:
    plan = HELD["plan"] | {"drift": IN_SYNC | {"verdict": verdict}}
    assert code_of_explanation(HELD | {"plan": plan}) == code


@pytest.mark.parametrize(
    ("listed", "verdict"),
    [
        pytest.param({"verdict": "drifted", "kinds": [], "reason": ""}, "drifted", id="drifted"),
        pytest.param(IN_SYNC, "unknown", id="nothing known"),
    ],
)
def test_what_is_being_worked_on_is_never_in_sync(listed: dict[str, Any], verdict: str) -> None:
    state = STATE | {"operation": {"phase": "waiting"}, "drift": listed}
    assert drift_of({"plan": {"drift": IN_SYNC}, "state": state})["verdict"] == verdict


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        pytest.param(
            {"path": "a", "kind": "added", "actual": None, "desired": {"b": 1}},
            '+ a: {"b": 1}',
            id="added",
        ),
        pytest.param(
            {"path": "a", "kind": "removed", "actual": "x", "desired": None}, "- a: x", id="removed"
        ),
        pytest.param(
            {"path": "a", "kind": "changed", "actual": 1, "desired": None},
            "~ a: 1 → null",
            id="changed",
        ),
    ],
)
def test_a_difference_is_a_line(difference: dict[str, Any], text: str) -> None:
    assert difference_line(difference) == text


@pytest.mark.parametrize("write", [cell, shown])
def test_control_characters_never_reach_the_terminal(write: Any) -> None:
    assert write("\x1b[31mred\n") == "\\x1b[31mred\\n"


def test_a_table_is_never_wrapped_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "x" * 300), ("[bold]b", None)]
    output.console().print(output.table(("ID", "REASON"), rows))
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "REASON"]
    assert first.split() == ["a", "x" * 300]
    assert second.split() == ["[bold]b", "–"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        pytest.param(
            {"cause": "crash", "summary": [], "action": "Reconciled", "durationSeconds": 1.234},
            "sensors: crash → Reconciled in 1.2 s",
            id="crash",
        ),
        pytest.param(
            {"cause": "c", "summary": ["Port: 1 → 2"], "action": "A", "durationSeconds": None},
            "sensors: Port: 1 → 2 → A",
            id="summary before cause",
        ),
        pytest.param(
            {"cause": "", "summary": [], "action": "Adopted", "durationSeconds": None},
            "sensors: Adopted",
            id="no cause",
        ),
    ],
)
def test_an_audit_entry_is_told_in_a_line(entry: dict[str, Any], text: str) -> None:
    assert line({"instanceId": "sensors", **entry}) == text
