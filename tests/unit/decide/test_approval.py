"""Manual: which plans wait for a person, and what a person's word covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from draas.decide.approval import APPROVAL, MANUAL
from draas.decide.plan import plan
from draas.decide.rules import Rules
from draas.model.reconciliation import Approval, Decision, Gate, Plan, Snapshot, Trigger
from tests.unit.decide.test_detect import state
from tests.unit.decide.test_plan import CHANGED, CRASHED, NOW, memory, snapshot

RULES = Rules(strategy=MANUAL)
PLAN = plan(snapshot(CHANGED), RULES, NOW)


def approval(**changes: Any) -> Approval:
    given = Approval(
        plan_digest=PLAN.digest,
        granted=True,
        actor="olga",
        at=NOW,
        until=NOW + timedelta(hours=1),
        reason="change 4711",
    )
    return replace(given, **changes)


def decided(given: Approval | None, instance: Any = CHANGED, **options: Any) -> Plan:
    at = NOW + options.pop("after", timedelta())
    seen: Snapshot = snapshot(instance, memory=memory(approval=given))
    return plan(seen, options.pop("rules", RULES), at, **options)


def gate(made: Plan) -> Gate:
    return next(each for each in made.gates if each.name == APPROVAL)


@pytest.mark.parametrize(
    ("given", "decision", "reason"),
    [
        pytest.param(None, Decision.HELD, "it waits for a person to approve the plan", id="none"),
        pytest.param(approval(), Decision.BEGIN, "olga approved it: change 4711", id="granted"),
        pytest.param(
            approval(granted=False, reason="not on Friday"),
            Decision.HELD,
            "olga rejected it: not on Friday",
            id="rejected",
        ),
        pytest.param(
            approval(until=NOW), Decision.HELD, "the approval by olga has expired", id="expired"
        ),
        pytest.param(
            approval(plan_digest="sha256:other"),
            Decision.HELD,
            "the plan has changed since olga decided on it",
            id="of another plan",
        ),
    ],
)
def test_a_plan_is_carried_out_once_it_is_approved(
    given: Approval | None, decision: Decision, reason: str
) -> None:
    made = decided(given)
    assert (made.decision, gate(made).reason) == (decision, reason)
    assert bool(made.approved_by) is (decision is Decision.BEGIN)


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(state(desired_digest="d3"), id="something newer is desired"),
        pytest.param(state(desired_digest="d2", applied_digest="d0"), id="something else runs"),
        pytest.param(
            state(desired_digest="d2", observed_components_digest="x"), id="somebody changed it"
        ),
        pytest.param(state(desired_digest="d2", health="Unhealthy"), id="it fell sick as well"),
    ],
)
def test_an_approval_is_of_one_plan_only(instance: Any) -> None:
    assert decided(approval(), instance).decision is Decision.HELD


def test_a_crash_waits_too() -> None:
    assert decided(None, CRASHED).decision is Decision.HELD


def test_what_is_in_order_asks_nobody() -> None:
    assert decided(None, state()).decision is Decision.IN_SYNC


@pytest.mark.parametrize(
    ("ordered", "approved", "used"),
    [
        pytest.param(None, "", "Restart", id="as the settings say"),
        pytest.param(None, "HotApply", "HotApply", id="as the approver says"),
        pytest.param("HotApply", "", "HotApply", id="as the order says"),
    ],
)
def test_who_chooses_the_strategy(ordered: str | None, approved: str, used: str) -> None:
    made = decided(approval(strategy=approved), strategy=ordered)
    assert (made.decision, made.strategy) == (Decision.BEGIN, used)


def test_an_order_with_a_strategy_does_not_go_around_the_approval() -> None:
    made = decided(None, strategy="Restart", trigger=Trigger.MANUAL)
    assert made.decision is Decision.HELD


def test_a_single_order_may_ask_for_an_approval() -> None:
    assert decided(None, rules=Rules(), strategy=MANUAL).decision is Decision.HELD
    assert decided(None, rules=Rules()).decision is Decision.BEGIN
