"""Metrics by name, and labels that cannot grow without bound (R-208)."""

from collections.abc import Callable
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from draas.telemetry import labels
from draas.telemetry.metrics import ControlPlaneMetrics, DaemonMetrics


def series(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: DaemonMetrics | ControlPlaneMetrics, name: str, **names: str) -> float | None:
    return series(metrics.render()).get((name, frozenset(names.items())))


class Kind(Enum):
    RUN_STATE = "RunState"


DONE: list[tuple[str, Callable[[DaemonMetrics], None], str, dict[str, str], float]] = [
    ("cycle", lambda m: m.cycle_completed(), "reconciliation_cycles_total", {}, 1),
    (
        "drift",
        lambda m: m.drift_detected(Kind.RUN_STATE),
        "reconciliation_drift_detected_total",
        {"kind": "run-state"},
        1,
    ),
    (
        "success",
        lambda m: m.succeeded("Restart", "change", 1.5),
        "reconciliation_success_total",
        {"strategy": "Restart", "trigger": "change"},
        1,
    ),
    (
        "failure",
        lambda m: m.failed("Restart", "resync", "permanent", "rolled-back", 31),
        "reconciliation_failures_total",
        {"strategy": "Restart", "trigger": "resync", "reason": "permanent"},
        1,
    ),
    (
        "duration of a success",
        lambda m: m.succeeded("Restart", "change", 1.5),
        "reconciliation_duration_seconds_sum",
        {"strategy": "Restart", "outcome": "success"},
        1.5,
    ),
    (
        "duration of a failure",
        lambda m: m.failed("Restart", "manual", "transient", "failed", 300),
        "reconciliation_duration_seconds_bucket",
        {"strategy": "Restart", "outcome": "failed", "le": "300.0"},
        1,
    ),
    (
        "skip",
        lambda m: m.skipped("quarantine"),
        "reconciliation_skipped_total",
        {"reason": "quarantine"},
        1,
    ),
    ("queue", lambda m: m.queue_depth.set(7), "reconciliation_queue_depth", {}, 7),
    ("flight", lambda m: m.in_flight.set(2), "reconciliation_in_flight", {}, 2),
    ("lag", lambda m: m.event_lag.set(0.2), "reconciliation_event_lag_seconds", {}, 0.2),
    ("up", lambda m: m.control_plane_up.set(1), "reconciliation_control_plane_up", {}, 1),
    ("breaker", lambda m: m.breaker_open.set(1), "reconciliation_breaker_open", {}, 1),
]


@pytest.mark.parametrize(
    ("act", "name", "names", "expected"), [case[1:] for case in DONE], ids=[c[0] for c in DONE]
)
def test_what_happens_is_counted(
    act: Callable[[DaemonMetrics], None], name: str, names: dict[str, str], expected: float
) -> None:
    metrics = DaemonMetrics()
    assert value(metrics, name, **names) in (None, 0)
    act(metrics)
    assert value(metrics, name, **names) == expected


def test_a_kind_that_no_longer_drifts_goes_back_to_none() -> None:
    metrics = DaemonMetrics()
    metrics.instances_drifting({"configuration": 3, "strange": 1, "stranger": 1})
    assert value(metrics, "reconciliation_instances_drifting", kind="other") == 2
    metrics.instances_drifting({"health": 1})
    assert value(metrics, "reconciliation_instances_drifting", kind="configuration") == 0
    assert value(metrics, "reconciliation_instances_drifting", kind="health") == 1


def test_the_control_plane_counts_requests_by_route_and_not_by_path() -> None:
    metrics = ControlPlaneMetrics(["/api/servers/instances/{id}"])
    metrics.answered("GET", "/api/servers/instances/{id}", 200)
    metrics.answered("BREW", "/api/servers/instances/abc", 999)
    metrics.operated("restart", "success")
    metrics.instances({"Running": 4})
    metrics.changes_sequence.set(12)
    requests = "draas_control_plane_requests_total"
    route = "/api/servers/instances/{id}"
    assert value(metrics, requests, method="GET", route=route, status="200") == 1
    assert value(metrics, requests, method="other", route="other", status="other") == 1
    done = {"operation": "restart", "outcome": "success"}
    assert value(metrics, "draas_control_plane_operations_total", **done) == 1
    assert value(metrics, "draas_control_plane_instances", status="Running") == 4
    assert value(metrics, "draas_control_plane_instances", status="Stopped") == 0
    assert value(metrics, "draas_control_plane_changes_sequence") == 12


@given(st.text())
def test_a_label_is_always_from_its_set(text: str) -> None:
    assert labels.DRIFT_KINDS.of(text) in labels.DRIFT_KINDS.values


def test_two_of_them_do_not_share_series() -> None:
    first, second = DaemonMetrics(), DaemonMetrics()
    first.cycle_completed()
    assert value(second, "reconciliation_cycles_total") == 0
