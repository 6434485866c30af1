"""Daemons that agree by Lease objects who works on what, over a fake API server."""

from __future__ import annotations

import signal
from pathlib import Path

from draas.decide.assign import SHARDS
from tests.e2e.world import DRAAS, Program, World, world
from tests.support.eventually import eventually
from tests.support.fake_kubernetes import FakeKubernetes, kubeconfig
from tests.support.ports import free_port


async def test_two_daemons_share_a_fleet_by_leases_of_kubernetes(
    postgres_url: str, tmp_path: Path
) -> None:
    kubernetes = FakeKubernetes()
    async with kubernetes.serving() as url:
        command = ("env", f"KUBECONFIG={kubeconfig(tmp_path, url, 'fleet')}", *DRAAS)
        settings = (f"--Store={postgres_url}", "--Reconciliation:RestartDelay=00:00:00.1")
        async with world(tmp_path, daemon=False, settings=settings) as made:
            daemons = [
                made.another_daemon(
                    "--Leases=Kubernetes", port=free_port(), name=name, command=command
                )
                for name in ("one", "other")
            ]
            try:
                urls = [await each.start() for each in daemons]
                await eventually(lambda: _are_shared(made, urls), within=30)
                assert len(kubernetes.leases) == SHARDS + 1 + len(urls)
                await daemons[0].end(signal.SIGKILL)
                await eventually(lambda: _are_shared(made, urls[1:]), within=30)
                await _heals(made)
            finally:
                await _end(daemons)


async def _are_shared(made: World, urls: list[str]) -> bool:
    held = [(await made.replica(url))["shards"]["held"] for url in urls]
    return all(held) and sorted(shard for each in held for shard in each) == list(range(SHARDS))


async def _heals(made: World) -> None:
    await made.create("a")
    port = free_port()
    await made.patch("a", {"op": "replace", "path": "/port", "value": port})
    await eventually(lambda: made.settled("a", port), within=30)


async def _end(daemons: list[Program]) -> None:
    for each in daemons:
        await each.end(signal.SIGKILL)
