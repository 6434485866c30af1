"""Drift by digests and levels: what is drift, what is none, what is not known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from draas.decide.detect import detect
from draas.model.instance import InstanceState
from draas.model.reconciliation import DriftKind

RUNNING = InstanceState(
    id="a",
    generation=1,
    desired_digest="d1",
    desired_run_state="Running",
    status="Running",
    health="Healthy",
    applied_digest="d1",
    applied_components_digest="c1",
    observed_components_digest="c1",
)


def state(**changes: Any) -> InstanceState:
    return msgspec.structs.replace(RUNNING, **changes)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        pytest.param({}, [], id="in sync"),
        pytest.param({"desired_digest": "d2"}, [DriftKind.CONFIGURATION], id="desired changed"),
        pytest.param({"observed_components_digest": "c2"}, [DriftKind.OBSERVED], id="tampered"),
        pytest.param({"health": "Unhealthy"}, [DriftKind.HEALTH], id="unhealthy"),
        pytest.param({"health": "Degraded"}, [DriftKind.HEALTH], id="degraded"),
        pytest.param(
            {"health": "Unknown", "desired_digest": "d2"},
            [DriftKind.CONFIGURATION],
            id="health not known, and the desired changed",
        ),
        pytest.param(
            {
                "health": "Unknown",
                "applied_components_digest": None,
                "observed_components_digest": None,
            },
            [],
            id="a control plane that tells neither health nor what is observed",
        ),
        pytest.param({"status": "Error"}, [DriftKind.RUN_STATE], id="crashed"),
        pytest.param({"status": "Stopped"}, [DriftKind.RUN_STATE], id="stopped, should run"),
        pytest.param({"status": "Created"}, [DriftKind.RUN_STATE], id="created, should run"),
        pytest.param(
            {"status": "Stopped", "desired_run_state": "Stopped"}, [], id="stopped by its user"
        ),
        pytest.param(
            {"status": "Stopped", "desired_run_state": "Stopped", "desired_digest": "d2"},
            [],
            id="stopped by its user, changed meanwhile",
        ),
        pytest.param(
            {"desired_digest": "d2", "observed_components_digest": "c2", "health": "Degraded"},
            [DriftKind.CONFIGURATION, DriftKind.OBSERVED, DriftKind.HEALTH],
            id="everything at once",
        ),
    ],
)
def test_kinds(changes: dict[str, Any], kinds: list[DriftKind]) -> None:
    found = detect(state(**changes))
    assert list(found.kinds) == kinds
    assert not found.unknown
    assert bool(found.cause) == bool(kinds)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": "Unknown", "reason": "no answer"}, id="unknown"),
        pytest.param({"status": "Exploded"}, id="a status from the future"),
        pytest.param({"desired_run_state": "Dancing"}, id="a run state from the future"),
        pytest.param({"status": "Starting"}, id="starting"),
        pytest.param({"status": "Stopping"}, id="stopping"),
        pytest.param({"health": "Unknown"}, id="health not known"),
        pytest.param({"health": "Sparkling"}, id="a health from the future"),
        pytest.param({"observed_components_digest": None}, id="not observed yet"),
    ],
)
def test_unknown_is_neither_drift_nor_in_sync(changes: dict[str, Any]) -> None:
    found = detect(state(**changes))
    assert found.unknown
    assert not found.kinds


def test_why_it_is_down_is_told_by_who_saw_it() -> None:
    assert detect(state(status="Error", reason="did not start: no")).cause == "did not start: no"
    assert "nobody says why" in detect(state(status="Error")).cause


def test_why_nobody_can_tell_is_told_by_who_looked() -> None:
    reason = "the snapshot cannot be read: no JSON"
    assert detect(state(health="Unknown", reason=reason)).unknown == reason
    assert detect(state(health="Unknown")).unknown == "its health is not known"


def test_another_target_than_the_desired() -> None:
    assert not detect(state(desired_digest="bad"), "d1")
