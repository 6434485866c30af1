"""The five checks of a running copy: each passes, fails or is not known, by name."""

from __future__ import annotations

import pytest

from draas.decide.health import (
    HEALTH,
    PORT,
    PROCESS,
    QUERIES,
    SOURCES,
    Probed,
    checks,
    failed,
    unknown,
)
from draas.model.status import Health

WELL = Probed(True, True, "", {"s": "Running"}, {"q": "Running"})


@pytest.mark.parametrize(
    ("runs", "health", "reason", "probed", "bad", "unsure"),
    [
        pytest.param(True, Health.HEALTHY, "", WELL, (), (), id="all is well"),
        pytest.param(True, Health.HEALTHY, "", None, (), (), id="the control plane's word"),
        pytest.param(
            False,
            Health.UNHEALTHY,
            "exit code 1",
            None,
            (PROCESS,),
            (PORT, HEALTH, SOURCES, QUERIES),
            id="ended",
        ),
        pytest.param(
            True,
            Health.DEGRADED,
            "source 's' is Error",
            Probed(True, True, "", {"s": "Error"}, {"q": "Running"}),
            (SOURCES, QUERIES),
            (),
            id="a source in error",
        ),
        pytest.param(
            True,
            Health.HEALTHY,
            "",
            Probed(True, True, "", {"s": "Running"}, {"q": "Error"}),
            (QUERIES,),
            (),
            id="a query in error that nobody has noticed yet",
        ),
        pytest.param(
            True,
            Health.HEALTHY,
            "",
            Probed(False, None, "connection refused"),
            (PORT,),
            (HEALTH,),
            id="nobody listens",
        ),
        pytest.param(
            True,
            Health.UNKNOWN,
            "not looked at",
            None,
            (),
            (PORT, HEALTH, SOURCES, QUERIES),
            id="not known",
        ),
    ],
)
def test_checks(
    runs: bool,
    health: Health,
    reason: str,
    probed: Probed | None,
    bad: tuple[str, ...],
    unsure: tuple[str, ...],
) -> None:
    found = checks(runs=runs, health=health, reason=reason, probed=probed)
    assert [each.name for each in found] == [PROCESS, PORT, HEALTH, SOURCES, QUERIES]
    assert tuple(each.name for each in found if each.passed is False) == bad
    assert tuple(each.name for each in found if each.passed is None) == unsure


def test_reasons_are_worded() -> None:
    found = checks(runs=False, health=Health.UNHEALTHY, reason="exit code 1")
    assert failed(found) == "process runs: exit code 1"
    assert unknown(found).startswith("port listens: exit code 1; ")
