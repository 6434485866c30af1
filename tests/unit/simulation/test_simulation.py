"""Worlds replay exactly, what breaks is found and made small, and two thousand of them hold."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.testing.faults import Plan, plan_of
from draas.testing.invariants import LEFT, OLD_FENCE
from draas.testing.shrink import shrunk
from draas.testing.simulation import simulate
from draas.testing.slot_rules import ORPHANED, PASSED, TWO_LEAD
from draas.testing.world import Parts
from tests.unit.simulation.defects import (
    CarelessDaemon,
    CarelessRouting,
    ClumsyDaemon,
    ForgetfulStore,
    HastyDaemon,
    SeallessControlPlane,
    SilentControlPlane,
    TimelessDaemon,
    TrustingControlPlane,
    TrustingStore,
    UnprovenControlPlane,
)

SEEDS = 2000
SOON = 200
"""Within so many seeds a planted defect has to be found."""
SMALL = 3
"""So many faults are enough for each, in some world."""
COMMAND = (sys.executable, "-m", "draas.testing.simulate")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as people call it, with a hash seed of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(600)
def test_two_thousand_worlds_hold() -> None:
    done = command("--seeds", str(SEEDS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_world_replays_exactly() -> None:
    first, second = command("--replay", "7"), command("--replay", "7")
    assert first.stdout == second.stdout
    assert "stores id-" in first.stdout
    assert first.stdout.endswith("all held\n")


def test_a_replay_may_leave_faults_out() -> None:
    some, all_of_them = command("--replay", "7", "--faults", "0,1"), plan_of(7).faults
    assert len(all_of_them) > 2
    assert str(all_of_them[1]) in some.stdout
    assert str(all_of_them[2]) not in some.stdout


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        pytest.param(Parts(daemon=HastyDaemon), "acted on before it was stored", id="hasty"),
        pytest.param(Parts(store=ForgetfulStore), "the audit is not complete", id="forgetful"),
        pytest.param(Parts(daemon=TimelessDaemon), LEFT, id="timeless"),
        pytest.param(
            Parts(control_plane=TrustingControlPlane), OLD_FENCE, id="the control plane trusts"
        ),
        pytest.param(Parts(control_plane=CarelessRouting), OLD_FENCE, id="the routing trusts"),
        pytest.param(Parts(control_plane=SilentControlPlane), ORPHANED, id="nobody clears"),
        pytest.param(Parts(store=TrustingStore), OLD_FENCE, id="the store trusts"),
        pytest.param(Parts(daemon=ClumsyDaemon), "an error that nobody expected", id="clumsy"),
        pytest.param(Parts(daemon=CarelessDaemon), PASSED, id="careless"),
        pytest.param(Parts(control_plane=SeallessControlPlane), TWO_LEAD, id="without a seal"),
        pytest.param(Parts(control_plane=UnprovenControlPlane), PASSED, id="unproven"),
    ],
)
def test_a_planted_defect_is_found_soon_and_made_small(parts: Parts, rule: str) -> None:
    verdicts = (simulate(plan_of(seed), parts) for seed in range(SOON))
    found = (verdict for verdict in verdicts if verdict.broken)
    first = next(found)
    assert first.rule == rule
    for verdict in chain((first,), found):
        if verdict.rule != rule:
            continue
        small = shrunk(verdict.plan, lambda plan: simulate(plan, parts).rule == rule)
        if len(small.faults) <= SMALL:
            assert simulate(small, parts).rule == rule
            return
    pytest.fail("no world with it could be made small")


@given(seed=st.integers(0, 500), needed=st.sets(st.integers(0, 5), max_size=3))
def test_shrinking_keeps_what_is_needed_and_nothing_else(seed: int, needed: set[int]) -> None:
    def breaks(plan: Plan) -> bool:
        return needed <= {fault.number for fault in plan.faults}

    small = shrunk(plan_of(seed), breaks)
    assert {fault.number for fault in small.faults} == needed
