"""Changes of one instance on which the kill matrix is tried: in one slot, and by two of them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import aiohttp

from draas.model.reconciliation import Phase
from tests.e2e.matrix import AGREED, HELD_IN, NEWER, TWO_SLOTS, Cell, Change, Waiting
from tests.e2e.visitors import Visitors, guest_book, visited, webhook
from tests.e2e.world import World
from tests.support.eventually import eventually
from tests.support.ports import free_port

STEADY = 40
"""Requests after which it is believed that none fails any more."""


class OneSlot(Change):
    """Another query in place, or another port; one that is taken where the way leads back."""

    def __init__(self, made: World, cell: Cell, name: str, first: int, port: int) -> None:
        super().__init__(made, cell.strategy, name, back=cell.goes_back, starts=cell.starts)
        hot = cell.strategy == "HotApply"
        self._first, self._port = first, first if hot else port
        self.patch = {"op": "replace", "path": "/port", "value": port}
        if hot:
            self.patch = {"op": "replace", "path": "/queries/0/query", "value": NEWER}

    async def check(self) -> None:
        """As the others, and it answers at its port, each time once a router that died is back."""
        await super().check()
        port = self._first if self._back else self._port
        await eventually(lambda: self._made.healthy(port))
        assert all([await self._made.healthy(port) for _ in range(STEADY)])


class TwoSlots(Change):
    """Another log level of an instance with visitors, of whom nobody may notice."""

    def __init__(
        self, made: World, strategy: str, name: str, visitors: Visitors, *, back: bool = False
    ) -> None:
        super().__init__(made, strategy, name, back=back, starts=0)
        self.patch = {"op": "replace", "path": "/logLevel", "value": "debug"}
        self.visitors = visitors

    def nobody_noticed(self) -> bool:
        """Whether no request ever failed."""
        assert self.visitors.failed == []
        return True

    async def urge(self, daemon: str) -> None:
        """Abort it where it is held."""
        if not self._back:
            return
        url = f"{daemon}/api/reconciliation/instances/{self.name}"

        async def is_held() -> bool:
            state = (await self._made._request("GET", url, None, 200))["state"]
            under_way = state["operation"] or {}
            return bool(under_way.get("phase") == HELD_IN[self._strategy])

        await eventually(is_held, within=30)
        await self._made._request("POST", f"{url}/abort", {"reason": "it is bad"}, 202)

    async def check(self) -> None:
        """As the others, and one slot, one router, no route too many, nothing lost or twice."""
        await super().check()
        found = await self._made.ask("GET", f"/api/servers/instances/{self.name}/slots", None, 200)
        [slot] = found["slots"]
        assert (slot["role"], slot["weight"]) == ("serving", 100)
        assert slot["handover"]["role"] == "leader"
        assert slot["processId"] in self.servers()
        assert len(self._made.routers()) == 1
        assert self._routed() == {slot["name"]}
        litter = [*self._made.directory.rglob("*.ndjson"), *self._made.directory.rglob("*.new")]
        assert litter == []
        await self._is_steady()
        await eventually(self._is_exact, within=30)

    def _routed(self) -> set[str]:
        """The slots that the router knows."""
        found = set()
        for path in (self._made.directory / "cp" / "envoy").glob("clusters.json"):
            for cluster in json.loads(path.read_text())["resources"]:
                key, slot = cluster["name"].rsplit("/", 1)
                if re.split("_(3A|2F)", key)[0] == self.name:
                    found.add(slot)
        return found

    async def _is_steady(self) -> None:
        failed, done = len(self.visitors.failed), self.visitors.done

        async def enough() -> bool:
            return self.visitors.done >= done + STEADY

        await eventually(enough, within=30)
        assert self.visitors.failed[failed:] == []

    async def _is_exact(self) -> bool:
        """Every answered push once among the rows and once told, none that was never made."""
        answered = set(self.visitors.answered)
        rows = await self.visitors.entries()
        told = self.visitors.told
        assert answered <= rows.keys()
        assert set(rows.values()) == {1}
        assert max(told.values()) == 1, "nothing is told twice"
        assert rows.keys() <= told.keys()
        return True


class Agreed(TwoSlots):
    """The same, once a person has agreed to it; who says so again where it did not help."""

    def __init__(self, made: World, phase: Phase | Waiting, name: str, visitors: Visitors) -> None:
        super().__init__(made, AGREED, name, visitors)
        self._is_approved_at_once = phase is Waiting.APPROVED
        self._asking: asyncio.Task[None] | None = None

    async def urge(self, daemon: str) -> None:
        """Agree to it as soon as it waits, and do not wait for the answer."""
        if self._is_approved_at_once:
            self._asking = asyncio.create_task(self._ask(daemon))

    async def is_told(self) -> bool:
        """Whether its story has an end; agrees to it where it waits."""
        answered = self._asking is None or self._asking.done()
        if answered and (await self._made.outcomes(self.name))[-1] == Waiting.HELD:
            await self._agree(self._made.daemon_url)
        return await super().is_told()

    async def check(self) -> None:
        """As the others, and it was agreed to once."""
        await super().check()
        assert (await self._made.outcomes(self.name)).count(Waiting.APPROVED) == 1

    async def forget(self) -> None:
        """Wait no longer for an answer of a daemon that is gone."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, daemon: str) -> None:
        await eventually(lambda: self._plan(daemon), within=30)
        with suppress(AssertionError, aiohttp.ClientError):
            await self._agree(daemon)

    async def _plan(self, daemon: str) -> str:
        url = f"{daemon}/api/reconciliation/instances/{self.name}"
        state = (await self._made._request("GET", url, None, 200))["state"]
        assert state["blockedBy"] == "approval"
        return str(state["planDigest"])

    async def _agree(self, daemon: str) -> None:
        url = f"{daemon}/api/reconciliation/instances/{self.name}/approve"
        await self._made._request("POST", url, {"plan": await self._plan(daemon)}, 200)


@asynccontextmanager
async def _with_visitors(made: World, name: str) -> AsyncIterator[Visitors]:
    port = free_port()
    async with webhook() as (url, told):
        await made.create(name, **guest_book(url, port))
        async with visited(told, port) as visitors:
            yield visitors


@asynccontextmanager
async def visited_change(
    made: World, strategy: str, name: str, *, back: bool = False
) -> AsyncIterator[TwoSlots]:
    """An instance with visitors, and its change."""
    async with _with_visitors(made, name) as visitors:
        yield TwoSlots(made, strategy, name, visitors, back=back)


@asynccontextmanager
async def _agreed_change(made: World, cell: Cell, name: str) -> AsyncIterator[Change]:
    async with _with_visitors(made, name) as visitors:
        change = Agreed(made, cell.phase, name, visitors)
        try:
            yield change
        finally:
            await change.forget()


@asynccontextmanager
async def _in_one_slot(made: World, cell: Cell, name: str) -> AsyncIterator[Change]:
    first = free_port()
    await made.create(name, port=first)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if cell.goes_back else free_port()
        yield OneSlot(made, cell, name, first, port)


def changing(made: World, cell: Cell, name: str) -> AbstractAsyncContextManager[Change]:
    """A new instance, and the change of it that the cell is about."""
    if cell.strategy in TWO_SLOTS:
        return visited_change(made, cell.strategy, name, back=cell.goes_back)
    if isinstance(cell.phase, Waiting):
        return _agreed_change(made, cell, name)
    return _in_one_slot(made, cell, name)
