"""A real control plane over real servers, killed with -9 at a bad moment, and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.eventually import eventually

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def running(
    data: Path,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.control_plane_process",
        str(data),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            url = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def create(client: httpx.AsyncClient, *ids: str) -> None:
    for each in ids:
        answer = await client.post("/api/servers/instances", json={"id": each, "name": each})
        assert answer.status_code == 201, answer.text


async def started(client: httpx.AsyncClient, instance_id: str) -> str:
    answer = await client.post(f"/api/servers/instances/{instance_id}/start")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["processId"])


async def state(client: httpx.AsyncClient, instance_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/api/servers/instances/{instance_id}")).json()
    return found


async def process_id(client: httpx.AsyncClient, instance_id: str) -> str:
    return str((await client.get(f"/api/status/{instance_id}/status")).json()["processId"])


async def delete(client: httpx.AsyncClient, *ids: str) -> None:
    for each in ids:
        assert (await client.delete(f"/api/servers/instances/{each}")).status_code == 204


async def storm(client: httpx.AsyncClient, answered: dict[str, int]) -> None:
    """Patch for as long as somebody answers, and note which generations were answered."""

    async def one(instance_id: str) -> None:
        number = 0
        while True:
            number += 1
            operations = [
                {
                    "op": "add",
                    "path": "/sources",
                    "value": [{"kind": "mock", "id": "m", "intervalMs": number}],
                }
            ]
            answer = await client.patch(
                f"/api/configuration/instances/{instance_id}", json=operations
            )
            assert answer.status_code == 202
            answered[instance_id] = int(answer.headers["draas-generation"])

    await asyncio.gather(*(one(each) for each in "abcd"), return_exceptions=True)


async def test_a_kill_in_a_storm_loses_no_answered_change_and_no_process(tmp_path: Path) -> None:
    answered: dict[str, int] = {}
    async with running(tmp_path) as (process, client):
        await create(client, *"abcd")
        before = [await started(client, each) for each in "ab"]
        cursor = (await client.get("/api/changes")).json()["cursor"]
        storming = asyncio.create_task(storm(client, answered))

        async def enough() -> bool:
            return len(answered) == 4 and min(answered.values()) > 20

        assert await eventually(enough)
        process.kill()
        await storming
    async with running(tmp_path) as (_, client):
        assert [await process_id(client, each) for each in "ab"] == before
        for each in "abcd":
            found = await state(client, each)
            assert found["generation"] in (answered[each], answered[each] + 1)
            assert found["status"] == ("Running" if each in "ab" else "Created")
            configuration = await client.get(f"/api/configuration/instances/{each}")
            assert configuration.headers["draas-digest"] == found["desiredDigest"]
        sequences: list[int] = []
        while True:
            page = (await client.get("/api/changes", params={"after": cursor})).json()
            assert page["gap"] is False
            if not page["changes"]:
                break
            sequences += [each["sequence"] for each in page["changes"]]
            cursor = page["cursor"]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        await delete(client, *"abcd")


async def test_what_died_meanwhile_is_an_error_if_it_was_wanted(tmp_path: Path) -> None:
    async with running(tmp_path) as (process, client):
        await create(client, "a", "b")
        victims = [int(await started(client, each)) for each in "ab"]
        keep = {"keepDesiredRunState": "true"}
        await client.post("/api/servers/instances/b/stop")
        await client.post("/api/servers/instances/b/start", params=keep)
        victims[1] = int(await process_id(client, "b"))
        process.kill()
        await process.wait()
    for each in victims:
        os.kill(each, signal.SIGKILL)
    async with running(tmp_path) as (_, client):
        wanted, unwanted = await state(client, "a"), await state(client, "b")
        assert (wanted["status"], wanted["reason"]) == (
            "Error",
            "was not running when the control plane started",
        )
        assert (unwanted["status"], unwanted["appliedDigest"]) == ("Stopped", None)
        await delete(client, "a", "b")


async def test_a_second_control_plane_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as (first, client):
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.control_plane_process",
            str(tmp_path),
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        _, said = await second.communicate()
        assert second.returncode == 1
        assert "another process works with" in said.decode()
        waiting = asyncio.create_task(
            client.get(
                "/api/changes",
                params={"after": (await client.get("/api/changes")).json()["cursor"], "wait": 60},
            )
        )
        await client.get("/health")
        first.terminate()
        async with asyncio.timeout(15):
            assert (await waiting).status_code == 200
            assert await first.wait() == 0
