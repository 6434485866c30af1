"""Health turns bad after several bad looks in a row, and good at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from draas.control_plane.patience import LOOKS, Patience
from draas.control_plane.ports import Observation, Running
from draas.model.status import Health

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVER = Running("a", "main", 1, 1.0, "127.0.0.1", 8081)
REPLACED = Running("a", "main", 2, 2.0, "127.0.0.1", 8081)
GOOD, BAD, ILL = Health.HEALTHY, Health.UNHEALTHY, Health.DEGRADED
OPEN = Health.UNKNOWN


def look(health: Health) -> Observation:
    return Observation(NOW, health, None if health is GOOD else "no answer", None, ())


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        pytest.param([GOOD], [GOOD], id="good"),
        pytest.param([BAD, GOOD], [OPEN, GOOD], id="a blip"),
        pytest.param([BAD, BAD, BAD, BAD], [OPEN, OPEN, BAD, BAD], id="bad for good"),
        pytest.param([BAD, BAD, GOOD, BAD], [OPEN, OPEN, GOOD, OPEN], id="counts anew"),
        pytest.param([ILL, BAD, ILL], [OPEN, OPEN, ILL], id="bad in several ways"),
        pytest.param([OPEN, BAD], [OPEN, OPEN], id="unknown is not bad"),
    ],
)
def test_health(looks: list[Health], told: list[Health]) -> None:
    patience = Patience()
    assert [patience.judged(SERVER, look(each)).health for each in looks] == told


def test_a_bad_look_that_does_not_count_yet_keeps_its_reason() -> None:
    assert "no answer" in (Patience().judged(SERVER, look(BAD)).reason or "")


def test_a_new_process_begins_with_a_clean_slate() -> None:
    patience = Patience()
    for _ in range(LOOKS - 1):
        patience.judged(SERVER, look(BAD))
    assert patience.judged(REPLACED, look(BAD)).health is OPEN
