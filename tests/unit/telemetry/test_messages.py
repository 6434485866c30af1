"""The texts of R-130 to the letter, and every call gives the fields that its text needs."""

import ast
from pathlib import Path
from typing import Any

import pytest

import draas
from draas.telemetry import messages
from draas.telemetry.levels import LogLevel

LOOP = "DRaaS.Reconciliation.ReconciliationBackgroundService"
SERVICE = "DRaaS.Reconciliation.ReconciliationService"
CLIENT = "DRaaS.Reconciliation.ReconciliationApiClient"
RESTART = "DRaaS.Reconciliation.Strategies.RestartReconciliationStrategy"
LIFETIME = "Microsoft.Hosting.Lifetime"
DEBUG, INFO = LogLevel.DEBUG, LogLevel.INFORMATION
WARNING, ERROR = LogLevel.WARNING, LogLevel.ERROR
SOURCES = [
    path
    for path in sorted(Path(draas.__file__).parent.rglob("*.py"))
    if "emit(" in path.read_text(encoding="utf-8")
]
ID = {"instance_id": "abc-123"}
REFUSED = {"instance_id": "abc-123", "status_code": "409"}

TEXTS: list[tuple[str, str, LogLevel, dict[str, Any], str]] = [
    ("STARTING", LOOP, INFO, {}, "Reconciliation Background Service starting..."),
    ("STOPPING", LOOP, INFO, {}, "Reconciliation Background Service stopping..."),
    ("EVENT_DRIVEN_DISABLED", LOOP, INFO, {}, "Event-driven reconciliation disabled"),
    ("EVENT_DRIVEN_ENABLED", LOOP, INFO, {}, "Event-driven reconciliation enabled"),
    (
        "EVENT_DRIVEN_BY_POLLING",
        LOOP,
        INFO,
        {},
        "Event-driven reconciliation enabled (API polling mode)",
    ),
    (
        "PERIODIC_ENABLED",
        LOOP,
        INFO,
        {"interval": "00:00:30"},
        "Periodic reconciliation enabled with interval: 00:00:30",
    ),
    ("PERIODIC_DISABLED", LOOP, INFO, {}, "Periodic reconciliation disabled"),
    ("CYCLE_STARTING", LOOP, DEBUG, {}, "Starting periodic reconciliation cycle"),
    (
        "CYCLE_COMPLETE",
        LOOP,
        INFO,
        {"checked": 12, "drift_detected": 3, "reconciled": 3, "failed": 0},
        "Reconciliation cycle complete. Checked: 12, Drift detected: 3, Reconciled: 3, Failed: 0",
    ),
    ("CYCLE_ERROR", LOOP, ERROR, {}, "Error during periodic reconciliation cycle"),
    (
        "CONFIGURATION_CHANGED",
        LOOP,
        INFO,
        ID,
        "Configuration change detected for instance abc-123, triggering reconciliation",
    ),
    (
        "RECONCILED",
        LOOP,
        INFO,
        {**ID, "strategy": "Restart"},
        "Successfully reconciled instance abc-123 using Restart",
    ),
    (
        "RECONCILE_FAILED",
        LOOP,
        WARNING,
        {**ID, "reason": "no port"},
        "Failed to reconcile instance abc-123: no port",
    ),
    ("NO_DRIFT", LOOP, DEBUG, ID, "No drift detected for instance abc-123"),
    (
        "EVENT_POLL_ERROR",
        LOOP,
        ERROR,
        {},
        "Error polling for status changes from ControlPlane",
    ),
    (
        "DRIFT_DETECTED",
        SERVICE,
        INFO,
        {**ID, "differences": "Port: 8080 → 8081"},
        "Drift detected for instance 'abc-123': Port: 8080 → 8081",
    ),
    (
        "RECONCILIATION_SUCCESSFUL",
        SERVICE,
        INFO,
        {**ID, "attempt": 1, "attempts": 3},
        "Reconciliation successful for instance 'abc-123' (attempt 1 of 3)",
    ),
    (
        "TIMED_OUT",
        SERVICE,
        ERROR,
        {"timeout": "00:05:00"},
        "Reconciliation timed out after 00:05:00",
    ),
    (
        "RESTART_STARTING",
        RESTART,
        INFO,
        ID,
        "Starting restart reconciliation for instance 'abc-123'",
    ),
    ("RESTART_STOPPING_INSTANCE", RESTART, DEBUG, ID, "Stopping instance abc-123"),
    (
        "RESTART_STARTING_INSTANCE",
        RESTART,
        DEBUG,
        ID,
        "Starting instance abc-123 with new configuration",
    ),
    (
        "RESTART_SUCCESSFUL",
        RESTART,
        INFO,
        ID,
        "Successfully reconciled instance abc-123 using restart strategy",
    ),
    ("RESTART_CANCELLED", RESTART, WARNING, ID, "Reconciliation cancelled for instance abc-123"),
    (
        "RESTART_ERROR",
        RESTART,
        ERROR,
        ID,
        "Error during restart reconciliation for instance abc-123",
    ),
    ("RESTART_STOP_FAILED", RESTART, ERROR, ID, "Failed to stop instance abc-123"),
    ("RESTART_START_FAILED", RESTART, ERROR, ID, "Failed to start instance abc-123"),
    ("INSTANCE_NOT_FOUND", RESTART, ERROR, ID, "Instance abc-123 not found"),
    ("INSTANCE_STOPPED", CLIENT, INFO, ID, "Successfully stopped instance 'abc-123'"),
    ("INSTANCE_STARTED", CLIENT, INFO, ID, "Successfully started instance 'abc-123'"),
    ("START_REFUSED", CLIENT, WARNING, REFUSED, "Failed to start instance abc-123. Status: 409"),
    ("STOP_REFUSED", CLIENT, WARNING, REFUSED, "Failed to stop instance abc-123. Status: 409"),
    ("START_ERROR", CLIENT, ERROR, ID, "Error starting instance abc-123"),
    ("STOP_ERROR", CLIENT, ERROR, ID, "Error stopping instance abc-123"),
    ("LIST_ERROR", CLIENT, ERROR, {}, "Failed to get all instances from ControlPlane"),
    (
        "INSTANCE_READ_ERROR",
        CLIENT,
        ERROR,
        ID,
        "Failed to get instance abc-123 from ControlPlane",
    ),
    (
        "CONFIGURATION_READ_ERROR",
        CLIENT,
        ERROR,
        ID,
        "Failed to get configuration for instance abc-123",
    ),
    (
        "CHANGES_READ_ERROR",
        CLIENT,
        ERROR,
        {},
        "Failed to get recent status changes from ControlPlane",
    ),
    (
        "NOW_LISTENING",
        LIFETIME,
        INFO,
        {"url": "http://localhost:5000"},
        "Now listening on: http://localhost:5000",
    ),
    (
        "APPLICATION_STARTED",
        LIFETIME,
        INFO,
        {},
        "Application started. Press Ctrl+C to shut down.",
    ),
]


@pytest.mark.parametrize(
    ("name", "category", "level", "fields", "text"), TEXTS, ids=[text[0] for text in TEXTS]
)
def test_the_text_is_to_the_letter(
    name: str, category: str, level: LogLevel, fields: dict[str, Any], text: str
) -> None:
    message = messages.catalogue()[name]
    assert (message.category, message.level) == (category, level)
    assert message.template.format_map(fields) == text
    assert message.fields == set(fields)


def test_a_skip_names_the_setting_that_causes_it() -> None:
    assert "MaxConcurrentReconciliations" in messages.SKIPPED_CONCURRENCY.template
    assert "ReconcileErrorInstances" in messages.SKIPPED_ERROR.template
    assert "ReconcileStoppedInstances" in messages.SKIPPED_STOPPED.template


def left_out(source: str) -> list[str]:
    """The calls of `emit` in `source` that leave out a field of their message's text."""
    catalogue = messages.catalogue()
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and "emit" in ast.unparse(node.func):
            message = catalogue.get(ast.unparse(node.args[0]).rpartition("messages.")[2])
            given = {keyword.arg for keyword in node.keywords}
            if message and None not in given and message.fields - given:
                found.append(f"line {node.lineno}: {sorted(message.fields - given)}")
    return found


def test_a_call_that_leaves_out_a_field_is_seen() -> None:
    call = "logs.emit(messages.START_REFUSED, error, instance_id='a')"
    assert left_out(call) == ["line 1: ['status_code']"]


@pytest.mark.parametrize("path", SOURCES, ids=[path.stem for path in SOURCES])
def test_every_call_of_emit_gives_the_fields_of_its_text(path: Path) -> None:
    assert left_out(path.read_text(encoding="utf-8")) == []
