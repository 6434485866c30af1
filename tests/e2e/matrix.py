"""The cells of the kill matrix: where a daemon meets its fate, and what must be found after."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from draas.model.reconciliation import Phase
from tests.e2e.world import Program, World, free_port

NEWER = "MATCH (n) RETURN n.value AS value"
WAY_BACK = (Phase.RESTORING, Phase.VERIFYING_RESTORED)
CALLING = (Phase.STOPPING, Phase.STARTING, Phase.APPLYING, Phase.RESTORING)
PHASES = {
    "Restart": [
        Phase.CHECKING,
        Phase.STOPPING,
        Phase.STARTING,
        Phase.VERIFYING,
        *WAY_BACK,
        Phase.FINISHED,
    ],
    "HotApply": [Phase.CHECKING, Phase.APPLYING, Phase.VERIFYING, Phase.FINISHED],
}


@dataclass(frozen=True)
class Cell:
    """A strategy, one of its phases, and a moment as `tests.support.doomed_daemon` names it."""

    strategy: str
    phase: Phase
    moment: str

    def __str__(self) -> str:
        return f"{self.strategy}-{self.phase.value}-{self.moment}"

    @property
    def goes_back(self) -> bool:
        """Whether the phase is reached only where the desired configuration cannot start."""
        return self.phase in WAY_BACK

    @property
    def starts(self) -> int:
        """How often a server is started on the way, with nothing done twice.

        What failed is tried again where it was not stored that it failed.
        """
        forgotten = self.phase is Phase.RESTORING and self.moment == "storing"
        return 0 if self.strategy == "HotApply" else 1 + self.goes_back + forgotten

    def doomed(
        self, made: World, how: signal.Signals, name: str = "daemon", port: int | None = None
    ) -> Program:
        """The daemon that gets the signal there."""
        words = ("-m", "tests.support.doomed_daemon", self.phase.value, self.moment, how.name)
        return made.another_daemon(port=port, name=name, command=(sys.executable, *words))


def cells(*moments: str, quick: Collection[str] | None = None) -> list[Any]:
    """Every cell with these moments as test parameters; those that are not quick are marked."""
    found = []
    for strategy, phases in PHASES.items():
        for phase in phases:
            for moment in moments:
                cell = Cell(strategy, phase, moment)
                if moment == "calling" and phase not in CALLING:
                    continue
                rest = () if quick is None or str(cell) in quick else (pytest.mark.matrix,)
                found.append(pytest.param(cell, id=str(cell), marks=rest))
    return found


class Change:
    """An instance on its way to another configuration, and what must have become of it."""

    def __init__(self, made: World, cell: Cell, name: str, port: int) -> None:
        self._made, self._cell, self.name = made, cell, name
        self._first, self._port, self._cursor = 0, port, ""

    async def order(self) -> None:
        """Change its desired configuration as the cell's strategy likes it."""
        self._first = (await self._made.configuration(self.name))["port"]
        self._cursor = (await self._made.changes())["cursor"]
        if self._cell.strategy == "HotApply":
            self._port = self._first
            patch = {"op": "replace", "path": "/queries/0/query", "value": NEWER}
        else:
            patch = {"op": "replace", "path": "/port", "value": self._port}
        await self._made.patch(self.name, patch)

    async def is_told(self) -> bool:
        """Whether its story has an end."""
        return (await self._made.outcomes(self.name))[-1] in ("succeeded", "rolled-back")

    async def check(self) -> None:
        """One server at its best configuration, one story, nothing done twice."""
        back = self._cell.goes_back
        assert await self._made.healthy(self._first if back else self._port)
        found = await self._made.instance(self.name)
        assert found["status"] == "Running"
        assert (found["appliedDigest"] == found["desiredDigest"]) is not back
        story = await self._made.audit(self.name)
        ending = "rolled-back" if back else "succeeded"
        assert [entry["outcome"] for entry in story] == ["started", ending]
        assert len({entry["operationId"] for entry in story}) == 1
        assert {entry["strategy"] for entry in story} == {self._cell.strategy}
        steps = await self.steps()
        starts = [step for step in steps if step["newStatus"] == "Starting"]
        assert len(starts) == self._cell.starts, "nothing is started twice"
        fences = [step["fence"] for step in steps if step["fence"] is not None]
        assert fences == sorted(fences), "nobody was obeyed after the one that took over"
        mine = [each for each in self._made.servers() if f"/{self.name}/" in _line(each)]
        assert [each.pid for each in mine] == [await self._made.process_of(self.name)]
        verdict = await self._made.ask_daemon("/api/reconciliation/audit/verify")
        assert verdict["intact"] is True

    async def steps(self) -> list[dict[str, Any]]:
        """What the control plane wrote down of the instance since the change."""
        changes = (await self._made.changes(self._cursor))["changes"]
        return [each for each in changes if each["instanceId"] == self.name]


def _line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


@asynccontextmanager
async def changing(made: World, cell: Cell, name: str) -> AsyncIterator[Change]:
    """A change of the instance; where the cell goes back, to a port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if cell.goes_back else free_port()
        yield Change(made, cell, name, port)
