"""A control plane that begins again finds the fleet as it is, wherever the last one ended."""

import sqlite3
from pathlib import Path

import pytest

from draas.testing.simulated_platform import SimulatedFleet
from tests.support.control_plane import World, served
from tests.support.memory_router import MemoryRouter

START = "/api/servers/instances/a/start"


async def prepared(data: Path, fleet: SimulatedFleet) -> None:
    async with served(data, fleet) as world:
        await world.create(id="a")
        await world.client.post(START)


def rewrite(world: World, statement: str) -> None:
    """Leave the store as a kill at that moment would have left it."""
    with sqlite3.connect(world.database) as connection:
        connection.execute(statement)


async def test_what_runs_is_taken_over_and_not_started_again(tmp_path: Path) -> None:
    fleet = SimulatedFleet()
    await prepared(tmp_path, fleet)
    process = fleet.servers["a"]["main"].running.process_id
    async with served(tmp_path, fleet) as world:
        state = await world.state("a")
        assert (state["status"], state["appliedGeneration"]) == ("Running", 1)
        again = (await world.client.post(START)).json()
        assert (again["changed"], again["processId"]) == (False, str(process))
        world.platform.crash("a")
        assert fleet.servers == {}


MOMENTS = [
    pytest.param("Starting", True, "Running", "Running", id="killed after the spawn"),
    pytest.param("Starting", False, "Running", "Error", id="killed before the spawn"),
    pytest.param("Starting", False, "Stopped", "Stopped", id="killed before an unwanted spawn"),
    pytest.param("Stopping", True, "Stopped", "Stopped", id="killed before the stop"),
    pytest.param("Stopping", True, "Running", "Stopped", id="killed in a reconciler's stop"),
    pytest.param("Stopping", False, "Stopped", "Stopped", id="killed after the stop"),
    pytest.param("Running", False, "Running", "Error", id="it died meanwhile"),
    pytest.param("Running", False, "Stopped", "Stopped", id="it died meanwhile, unwanted"),
]


@pytest.mark.parametrize(("status", "runs", "desired", "becomes"), MOMENTS)
async def test_a_call_that_was_cut_off_is_finished_or_named(
    tmp_path: Path, status: str, runs: bool, desired: str, becomes: str
) -> None:
    fleet = SimulatedFleet()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a")
        await world.client.post(START)
    rewrite(world, f"UPDATE instances SET status='{status}', desired_run_state='{desired}'")
    if status != "Running":
        held = '{"kind": "call", "id": "1", "actor": "", "startedAt": ""}'
        rewrite(world, f"UPDATE instances SET operation='{held}'")
    if status == "Starting":
        rewrite(world, "UPDATE slots SET process_id=NULL, process_started=NULL")
    if not runs:
        fleet.servers.clear()
        fleet.addresses.clear()
    async with served(tmp_path, fleet) as world:
        state = await world.state("a")
        assert state["status"] == becomes
        assert state["desiredRunState"] == desired
        assert state["operation"] is None
        assert (state["appliedDigest"] is not None) is (becomes == "Running")
        assert ("a" in fleet.servers) is (becomes == "Running")
        if becomes == "Error":
            assert state["reason"] == "was not running when the control plane started"
        assert (await world.client.post(START)).status_code == 200


@pytest.mark.parametrize("reported", ["Stopping", "Starting", "Stopped", "Error", "Created"])
async def test_what_somebody_reported_ends_no_server(tmp_path: Path, reported: str) -> None:
    fleet = SimulatedFleet()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a")
        await world.client.post(START)
        process = fleet.servers["a"]["main"].running
        answer = await world.client.put("/api/servers/instances/a/status", json=reported)
        assert answer.status_code < 300, answer.text
    async with served(tmp_path, fleet) as world:
        assert (await world.state("a"))["status"] == "Running"
        assert fleet.servers["a"]["main"].running == process


async def test_a_server_that_nobody_recorded_is_replaced_and_not_doubled(tmp_path: Path) -> None:
    fleet = SimulatedFleet()
    await prepared(tmp_path, fleet)
    async with served(tmp_path, fleet) as world:
        pass
    rewrite(world, "DELETE FROM slots")
    rewrite(world, "UPDATE instances SET status='Stopped'")
    async with served(tmp_path, fleet) as world:
        await world.client.patch(
            "/api/configuration/instances/a",
            json=[{"op": "replace", "path": "/logLevel", "value": "debug"}],
        )
        started = await world.client.post(START)
        assert started.status_code == 200, started.text
        assert [len(slots) for slots in fleet.servers.values()] == [1]
        assert fleet.servers["a"]["main"].launched["logLevel"] == "debug"


async def test_a_second_slot_that_nobody_recorded_is_ended_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    fleet, router = SimulatedFleet(), MemoryRouter()
    async with served(tmp_path, fleet, router=router) as world:
        await world.create(id="a")
        await world.client.post(START)
        opened = await world.client.post("/api/servers/instances/a/slots")
        assert opened.status_code == 201, opened.text
        serving = fleet.servers["a"]["main"].running
    rewrite(world, "DELETE FROM slots WHERE name = 'second'")
    async with served(tmp_path, fleet, router=router) as world:
        assert [each.running for each in fleet.servers["a"].values()] == [serving]
        slots = (await world.client.get("/api/servers/instances/a/slots")).json()["slots"]
        assert [slot["name"] for slot in slots] == ["main"]


async def test_the_epoch_and_all_levels_outlive_a_restart(tmp_path: Path) -> None:
    fleet = SimulatedFleet()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a", labels={"k": "v"}, metadata={"m": "1"}, description="d")
        before, cursor = await world.state("a"), await world.cursor()
    async with served(tmp_path, fleet) as world:
        assert await world.state("a") == before
        assert await world.cursor() == cursor
