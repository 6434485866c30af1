"""One slot leads, and after any interruption the same call brings that about."""

import pytest

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED
from draas.contract.slots import CANDIDATE, MAIN, SECOND
from draas.control_plane.handover import HandoverError
from draas.control_plane.leadership import Leadership
from draas.control_plane.records import Record, put
from draas.testing.simulated_handover import SimulatedHandover, SimulatedServer
from tests.support.records import record, slot


def two_slots() -> Record:
    spare = slot(SECOND, process_id=2)
    return put(record(slot=slot(MAIN, process_id=1)), spare=spare, second_slot=CANDIDATE)


def roles(handover: SimulatedHandover) -> dict[str, str]:
    return {name: server.role for name, server in handover.servers.items()}


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
    handover = SimulatedHandover(
        **{name: SimulatedServer(role, sequence=7) for name, role in before.items()}
    )
    await Leadership(handover).give(two_slots(), chosen)
    other = SECOND if chosen == MAIN else MAIN
    assert roles(handover) == {chosen: LEADER, other: FOLLOWER}


async def test_who_is_not_promoted_leaves_the_lead_where_it_was() -> None:
    handover = SimulatedHandover(
        main=SimulatedServer(LEADER), second=SimulatedServer(FOLLOWER, fails={"promote"})
    )
    with pytest.raises(HandoverError):
        await Leadership(handover).give(two_slots(), SECOND)
    assert roles(handover) == {MAIN: LEADER, SECOND: FOLLOWER}


async def test_a_dead_leader_is_replaced_from_where_its_follower_is() -> None:
    handover = SimulatedHandover(
        main=SimulatedServer(FOLLOWER, sequence=5), second=SimulatedServer(LEADER, dead=True)
    )
    alone = put(two_slots(), spare=slot(SECOND, process_id=None))
    await Leadership(handover).give(alone, MAIN)
    assert (roles(handover)[MAIN], handover.servers[MAIN].sequence) == (LEADER, 5)


async def test_a_leader_that_may_still_live_is_not_replaced() -> None:
    handover = SimulatedHandover(
        main=SimulatedServer(FOLLOWER), second=SimulatedServer(LEADER, dead=True)
    )
    with pytest.raises(HandoverError):
        await Leadership(handover).give(two_slots(), MAIN)
    assert roles(handover)[MAIN] == FOLLOWER
