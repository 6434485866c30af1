"""One slot leads, and after any interruption the same call brings that about."""

import asyncio

import pytest

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED
from draas.contract.slots import CANDIDATE, MAIN, SECOND
from draas.control_plane.handover import HandoverError
from draas.control_plane.leadership import Leadership
from draas.control_plane.records import Record, put
from draas.testing.simulated_handover import SimulatedHandover, SimulatedHost
from tests.support.records import record, slot


def two_slots() -> Record:
    spare = slot(SECOND, process_id=2)
    return put(record(slot=slot(MAIN, process_id=1)), spare=spare, second_slot=CANDIDATE)


ALONE = put(two_slots(), spare=slot(SECOND, process_id=None))
"""The second slot has ended."""


class Hosts:
    """Two servers; `roles` are those of them that answer."""

    def __init__(self, main: SimulatedHost, second: SimulatedHost) -> None:
        self.main, self.second = main, second
        self.both = {MAIN: main, SECOND: second}
        self.handover = SimulatedHandover(lambda _instance_id: self.both)
        self.leadership = Leadership(self.handover)

    @property
    def roles(self) -> dict[str, str]:
        return {name: host.role for name, host in self.both.items() if not host.dead}


@pytest.mark.parametrize(
    ("before", "chosen"),
    [
        pytest.param({MAIN: LEADER, SECOND: FOLLOWER}, SECOND, id="from the beginning"),
        pytest.param({MAIN: SEALED, SECOND: FOLLOWER}, SECOND, id="broken off after the seal"),
        pytest.param({MAIN: SEALED, SECOND: LEADER}, SECOND, id="broken off after the promotion"),
        pytest.param({MAIN: FOLLOWER, SECOND: LEADER}, SECOND, id="it leads already"),
        pytest.param({MAIN: FOLLOWER, SECOND: LEADER}, MAIN, id="the way back"),
        pytest.param({MAIN: SEALED, SECOND: LEADER}, MAIN, id="the way back at once"),
        pytest.param({MAIN: SEALED, SECOND: FOLLOWER}, MAIN, id="back before it went"),
        pytest.param({MAIN: FOLLOWER, SECOND: SEALED}, MAIN, id="the way back, broken off"),
        pytest.param({MAIN: LEADER, SECOND: FOLLOWER}, MAIN, id="it never went"),
    ],
)
async def test_the_chosen_one_leads_and_the_other_follows(
    before: dict[str, str], chosen: str
) -> None:
    hosts = Hosts(*(SimulatedHost(before[name], sequence=7) for name in (MAIN, SECOND)))
    await hosts.leadership.give(two_slots(), chosen)
    other = SECOND if chosen == MAIN else MAIN
    assert hosts.roles == {chosen: LEADER, other: FOLLOWER}


async def test_who_is_not_promoted_leaves_the_lead_where_it_was() -> None:
    hosts = Hosts(SimulatedHost(LEADER), SimulatedHost(FOLLOWER, fails={"promote"}))
    with pytest.raises(HandoverError):
        await hosts.leadership.give(two_slots(), SECOND)
    assert hosts.roles == {MAIN: LEADER, SECOND: FOLLOWER}


@pytest.mark.parametrize(
    ("role", "sequence"),
    [
        pytest.param(FOLLOWER, 5, id="it followed"),
        pytest.param(SEALED, 5, id="it was sealed for it"),
    ],
)
async def test_a_dead_leader_is_replaced_from_where_the_other_is(role: str, sequence: int) -> None:
    hosts = Hosts(
        SimulatedHost(role, sequence=sequence, peer=SECOND), SimulatedHost(LEADER, dead=True)
    )
    await hosts.leadership.give(ALONE, MAIN)
    assert (hosts.roles, hosts.main.sequence) == ({MAIN: LEADER}, sequence)


async def test_a_leader_that_may_still_live_is_not_replaced() -> None:
    hosts = Hosts(SimulatedHost(FOLLOWER), SimulatedHost(LEADER, dead=True))
    with pytest.raises(HandoverError):
        await hosts.leadership.give(two_slots(), MAIN)
    assert hosts.roles == {MAIN: FOLLOWER}


async def test_who_leads_keeps_the_lead_whatever_the_other_one_says() -> None:
    hosts = Hosts(SimulatedHost(LEADER), SimulatedHost(FOLLOWER, dead=True))
    await hosts.leadership.keep(two_slots())
    assert hosts.roles == {MAIN: LEADER}


@pytest.mark.parametrize(
    ("second", "becomes"),
    [
        pytest.param(SimulatedHost(FOLLOWER, peer=MAIN), LEADER, id="nobody leads"),
        pytest.param(SimulatedHost(LEADER, dead=True), LEADER, id="its successor has ended"),
        pytest.param(SimulatedHost(LEADER), SEALED, id="its successor leads"),
    ],
)
async def test_after_a_crash_somebody_leads(second: SimulatedHost, becomes: str) -> None:
    hosts = Hosts(SimulatedHost(SEALED, peer=SECOND), second)
    await hosts.leadership.mend(two_slots())
    assert hosts.roles[MAIN] == becomes


async def test_one_seals_at_a_time() -> None:
    """Who compares rows ends its seal; it must not end that of a switch."""
    hosts = Hosts(SimulatedHost(LEADER), SimulatedHost(FOLLOWER, peer=MAIN))
    async with hosts.leadership.turn("a"):
        switch = asyncio.create_task(hosts.leadership.give(two_slots(), SECOND))
        await asyncio.sleep(0)
        assert hosts.roles == {MAIN: LEADER, SECOND: FOLLOWER}
    await switch
    assert hosts.roles == {MAIN: FOLLOWER, SECOND: LEADER}
