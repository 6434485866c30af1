"""The real control plane, through the daemon's client, keeps the contract of the simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from draas.client.control_plane import NativeControlPlane
from draas.client.http import HttpClient
from draas.contract import routes
from draas.contract.slots import MAIN
from draas.testing.configurations import configuration
from tests.contract_suites.control_planes import ControlPlaneContract
from tests.contract_suites.fencing import DOCUMENT, FencingContract
from tests.contract_suites.slots import SlotsContract
from tests.support.control_plane import World, served
from tests.support.eventually import eventually
from tests.support.memory_router import MemoryRouter

INSTANCES = "/api/servers/instances"


class ServedWorld:
    """A control plane over HTTP; people use its API, the world its platform."""

    def __init__(self, world: World, http: HttpClient) -> None:
        self.plane = NativeControlPlane(http)
        self._http = http
        self._world = world

    async def create(
        self, instance_id: str, document: Mapping[str, Any], labels: Mapping[str, str] | None = None
    ) -> None:
        await self._world.create(
            id=instance_id, configuration=dict(document), labels=dict(labels or {})
        )

    async def configure(self, instance_id: str, document: Mapping[str, Any]) -> None:
        path = routes.configuration(instance_id)
        (await self._world.client.put(path, json=dict(document))).raise_for_status()

    async def want(self, instance_id: str, *, running: bool) -> None:
        path = f"{INSTANCES}/{instance_id}/{'start' if running else 'stop'}"
        (await self._world.client.post(path)).raise_for_status()

    async def crash(self, instance_id: str, slot: str = MAIN) -> None:
        self._world.platform.crash(instance_id, slot)

        async def noticed() -> bool:
            found = await self.plane.slots(instance_id)
            ended = [each for each in found.slots if each.name == slot]
            return all(each.process_id is None for each in ended)

        await eventually(noticed)

    async def delete(self, instance_id: str) -> None:
        (await self._world.client.delete(f"{INSTANCES}/{instance_id}")).raise_for_status()

    def doom(self, instance_id: str, document: Mapping[str, Any]) -> None:
        self._world.platform.fail_launches(instance_id, "no such plugin")

    def spare(self, instance_id: str, document: Mapping[str, Any]) -> None:
        self._world.platform.allow_launches(instance_id)

    async def call(self, action: str, fence: int | None = None, key: str | None = None) -> None:
        headers = {routes.FENCE: str(fence)} if fence is not None else {}
        headers |= {routes.IDEMPOTENCY_KEY: key} if key is not None else {}
        body = None if action == "stop" else DOCUMENT
        path = routes.instance("a", action)
        await self._http.request("POST", path, body=body, headers=headers)

    def ends_in_launch(self) -> None:
        self._world.platform.launching = lambda _: self._world.platform.crash("a", MAIN)

    def forgetful(self) -> Mapping[str, Any]:
        database = {"host": "h", "database": "d", "user": "u", "password": "${PASSWORD:-x}"}
        source = {"id": "s", "kind": "postgres", **database}
        return {**configuration(9124), "sources": [source]}

    def refuse(self, slot: str, call: str) -> None:
        self._world.platform.fleet.hosts("a")[slot].fails.add(call)

    def roles(self) -> dict[str, str]:
        return {name: host.role for name, host in self._world.platform.fleet.hosts("a").items()}

    def weights(self) -> dict[str, int]:
        """The same at every address of the server."""
        assert self._world.router is not None
        routes = self._world.router.routes
        shares = [
            {backend: weight for backend, weight in route.weights.items() if weight}
            for name, route in routes.items()
            if name.startswith("a:")
        ]
        assert all(share == shares[0] for share in shares)
        return shares[0]

    async def status(self) -> str:
        found = await self.plane.state("a")
        assert found is not None
        return found.status


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ServedWorld]:
    async with served(tmp_path, router=MemoryRouter()) as world:
        http = HttpClient(world.url, actor="daemon")
        try:
            yield ServedWorld(world, http)
        finally:
            await http.close()


class TestControlPlane(ControlPlaneContract, FencingContract, SlotsContract):
    pass
