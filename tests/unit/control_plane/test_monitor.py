"""What a look at a server makes of its instance."""

from __future__ import annotations

from datetime import datetime

import pytest

from draas.control_plane.monitor import noted
from draas.control_plane.ports import Observation
from draas.control_plane.records import put
from draas.model.status import Health
from tests.support.records import CAUSE, record, slot


@pytest.mark.parametrize(
    ("status", "health", "becomes"),
    [
        pytest.param("Stopping", Health.UNHEALTHY, "Running", id="nobody stops it"),
        pytest.param("Stopped", Health.UNHEALTHY, "Running", id="it has a process"),
        pytest.param("Created", Health.UNKNOWN, "Running", id="it was started"),
        pytest.param("Error", Health.HEALTHY, "Running", id="nothing is wrong"),
        pytest.param("Error", Health.UNHEALTHY, "Error", id="something is wrong"),
        pytest.param("Unknown", Health.UNKNOWN, "Unknown", id="nobody knows"),
    ],
)
def test_what_was_only_reported_is_put_right(status: str, health: Health, becomes: str) -> None:
    runs = slot()
    reported = put(record(status=status, desired_run_state="Running"), slot=runs)
    seen = Observation(datetime.fromisoformat(CAUSE.at), health, "why", None, ())
    after = noted(reported, runs, seen, CAUSE).record
    assert after is not None
    assert (after.instance.status, after.instance.health) == (becomes, health.value)
