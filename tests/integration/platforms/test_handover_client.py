"""What the client of the included server's hand-over makes of answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from draas.adapters.platforms import handover_client
from draas.adapters.platforms.handover_client import HandoverClient
from draas.control_plane.handover import HandoverError
from draas.control_plane.ports import Running
from tests.support.ports import free_port


async def rows_of(rows: list[Any]) -> list[Any]:
    """The rows of a query as the client reads them from a server that has these."""

    async def results(request: web.Request) -> web.Response:
        return web.json_response({"success": True, "data": rows, "error": None})

    app = web.Application()
    app.router.add_get("/api/v1/instances/a/queries/q/results", results)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = HandoverClient()
    try:
        return await client.rows(Running("a", "main", 1, 0.0, "127.0.0.1", port), "q")
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize("count", [0, 1, 50_000])
async def test_rows_are_read_to_the_last(count: int) -> None:
    rows = [{"id": f"o{number}", "price": number} for number in range(count)]
    assert await rows_of(rows) == rows


async def test_more_rows_than_can_be_held_are_refused() -> None:
    row = {"text": "x" * 1024}
    with pytest.raises(HandoverError):
        await rows_of([row] * (handover_client._MAX_BYTES // 1024))


async def test_a_server_that_hangs_is_not_asked_to_seal(tmp_path: Path) -> None:
    asked: list[str] = []

    async def hang(request: web.Request) -> web.Response:
        asked.append(request.path.rpartition("/instances/a/")[2])
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = HandoverClient()
    try:
        with pytest.raises(HandoverError, match="no answer"):
            await client.export(Running("a", "main", 1, 0.0, "127.0.0.1", port), tmp_path / "kept")
    finally:
        await client.close()
        await runner.cleanup()
    assert asked == ["handover"]
