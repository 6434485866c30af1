from tests.support.control_plane import World
from tests.support.eventually import eventually


async def test_create_start_patch_stop(world: World) -> None:
    made = await world.create(id="a", labels={"team": "x"})
    assert made["status"] == "Created"
    assert made["desiredRunState"] == "Stopped"
    started = await world.client.post("/api/servers/instances/a/start")
    assert started.status_code == 200, started.text
    assert started.json()["changed"] is True
    cursor = await world.cursor()
    patched = await world.client.patch(
        "/api/configuration/instances/a",
        json=[{"op": "replace", "path": "/logLevel", "value": "debug"}],
    )
    assert patched.status_code == 202, patched.text
    assert patched.json()["logLevel"] == "debug"
    state = await world.state("a")
    assert (state["status"], state["generation"], state["appliedGeneration"]) == ("Running", 2, 1)
    assert state["desiredDigest"] != state["appliedDigest"]
    found = await world.changes(cursor, 5)
    assert "ConfigurationChanged" in [each["kind"] for each in found["changes"]]
    stopped = await world.client.post("/api/servers/instances/a/stop")
    assert stopped.json()["status"] == "Stopped"

    async def last_good() -> bool:
        return (await world.state("a"))["lastGoodGeneration"] == 1

    await world.client.post("/api/servers/instances/a/restart")
    assert (await world.state("a"))["status"] == "Running"

    async def good() -> bool:
        return (await world.state("a"))["lastGoodGeneration"] == 2

    assert await eventually(good)
