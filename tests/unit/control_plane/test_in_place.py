"""What it means that a change of a running server fails."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from draas.contract.problems import ProblemError
from draas.control_plane.in_place import InPlace
from draas.control_plane.ports import (
    ComponentStatus,
    Observation,
    Running,
    StepError,
    UnansweredStepError,
)
from draas.decide.hot_apply import Step
from draas.model.configuration import observable_digest
from draas.model.status import Health
from draas.testing.configurations import configuration

RUNNING = Running("a", "second", 1, 1.0, "127.0.0.1", 20000)
TARGET = configuration(9001)
EMPTY = {"instance_id": "a", "sources": [], "queries": [], "reactions": []}


class Failing:
    """A server without components, each change of which fails in one way."""

    def __init__(self, error: StepError) -> None:
        self._error = error

    async def observe(self, running: Running) -> Observation:
        return Observation(datetime.now(UTC), Health.HEALTHY, None, EMPTY, ())

    async def carry_out(self, running: Running, step: Step) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "only_reported", "kind"),
    [
        pytest.param(StepError("no such plugin"), True, "hot-apply-failed", id="refused"),
        pytest.param(UnansweredStepError("5 s"), True, "instance-unobservable", id="it loads"),
        pytest.param(UnansweredStepError("5 s"), False, "hot-apply-failed", id="it hangs"),
    ],
)
async def test_what_still_loads_is_not_blamed(
    error: StepError, only_reported: bool, kind: str
) -> None:
    server = Failing(error)
    in_place = InPlace(server, server, restarts_queries=True)
    digest = observable_digest(TARGET)
    with pytest.raises(ProblemError) as raised:
        await in_place.make(RUNNING, TARGET, TARGET, digest, only_reported=only_reported)
    assert raised.value.kind == kind


class Idle:
    """A server with one source that is as it is said to be, which keeps what it is told to do."""

    def __init__(self, status: str, *, auto_start: bool) -> None:
        source = {
            "id": "s",
            "source_type": "mock",
            "status": status,
            "auto_start": auto_start,
            "properties": {},
        }
        self.snapshot = EMPTY | {"sources": [source]}
        self.component = ComponentStatus("source", "s", status, auto_start=auto_start)
        self.steps: list[tuple[str, str, str]] = []

    async def observe(self, running: Running) -> Observation:
        now = datetime.now(UTC)
        return Observation(now, Health.HEALTHY, None, self.snapshot, (self.component,))

    async def carry_out(self, running: Running, step: Step) -> None:
        self.steps.append((step.action, step.part, step.id))


@pytest.mark.parametrize(
    ("status", "auto_start", "steps"),
    [
        pytest.param("Stopped", True, [("start", "sources", "s")], id="stopped, should run"),
        pytest.param("Added", True, [("start", "sources", "s")], id="added, should run"),
        pytest.param("Stopped", False, [], id="stopped, as the configuration wants it"),
        pytest.param("Added", False, [], id="added, as the configuration wants it"),
        pytest.param("Running", False, [], id="started by a person"),
    ],
)
async def test_only_what_should_run_is_started(
    status: str, auto_start: bool, steps: list[tuple[str, str, str]]
) -> None:
    server = Idle(status, auto_start=auto_start)
    target = {"sources": [{"id": "s", "kind": "mock", "autoStart": auto_start}]}
    in_place = InPlace(server, server, restarts_queries=True)
    assert await in_place.make(RUNNING, target, target, observable_digest(target)) == len(steps)
    assert server.steps == steps
