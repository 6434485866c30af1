"""The last good configuration: seen running well, and lasting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from draas.control_plane.last_good import PROBATION, doubted, praised
from draas.control_plane.records import Record, Slot, put, stamp
from draas.model.instance import Instance
from draas.model.status import Health

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(applied: int | None, good: int | None = None, earlier: int | None = None) -> Record:
    instance = Instance(
        id="a",
        generation=9,
        desired_digest="d",
        desired_run_state="Running",
        status="Running",
        last_good_generation=good,
        name="a",
        created_at=stamp(START),
    )
    slot = Slot(
        name="main",
        host="127.0.0.1",
        port=1,
        digest="d",
        components_digest="c",
        generation=applied,
        at=stamp(START),
    )
    return put(Record(instance=instance, port=1, earlier_good_generation=earlier), slot=slot)


def goods(found: Record) -> tuple[int | None, int | None]:
    return found.instance.last_good_generation, found.earlier_good_generation


@pytest.mark.parametrize(
    ("before", "health", "observed", "after"),
    [
        pytest.param(record(1), Health.HEALTHY, "c", (1, None), id="the first"),
        pytest.param(record(2, 1), Health.HEALTHY, "c", (2, 1), id="a newer one"),
        pytest.param(record(1, 2, 1), Health.HEALTHY, "c", (1, None), id="the earlier one again"),
        pytest.param(record(1, 3, 2), Health.HEALTHY, "c", (3, 2), id="an older one still"),
        pytest.param(record(2, 2, 1), Health.HEALTHY, "c", (2, 1), id="seen again"),
        pytest.param(record(2, 1), Health.DEGRADED, "c", (1, None), id="not healthy"),
        pytest.param(record(2, 1), Health.HEALTHY, "x", (1, None), id="changed behind our back"),
        pytest.param(record(2, 1), Health.HEALTHY, None, (1, None), id="not observed"),
        pytest.param(record(None, 1), Health.HEALTHY, "c", (1, None), id="never desired"),
    ],
)
def test_praised(before: Record, health: Health, observed: str | None, after: Any) -> None:
    assert goods(praised(before, health, observed)) == after


@pytest.mark.parametrize(
    ("before", "age", "after"),
    [
        pytest.param(record(2, 2, 1), timedelta(seconds=3), (1, None), id="soon"),
        pytest.param(record(2, 2, 1), PROBATION, (2, 1), id="after its probation"),
        pytest.param(record(1, 1), timedelta(seconds=3), (1, None), id="nothing better"),
        pytest.param(record(1, 2, 1), timedelta(seconds=3), (2, 1), id="another one ended"),
    ],
)
def test_doubted(before: Record, age: timedelta, after: Any) -> None:
    assert goods(doubted(before, stamp(START + age))) == after
