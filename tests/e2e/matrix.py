"""The cells of the kill matrix: where a daemon meets its fate, and what must be found after."""

from __future__ import annotations

import signal
import sys
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psutil
import pytest

from draas.model.reconciliation import Phase
from tests.e2e.world import Program, World
from tests.support.eventually import eventually


class Waiting(StrEnum):
    """What the daemon notes of a plan that waits for a person, before there is an operation."""

    HELD = "held"
    APPROVED = "approved"


NEWER = "MATCH (n) RETURN n.value AS value"
TAKEN_AWAY = (Phase.TAKING_BACK, Phase.CLOSING_CANDIDATE)
WAY_BACK = (Phase.RESTORING, *TAKEN_AWAY, Phase.VERIFYING_RESTORED)
CALLING = (
    *(Phase.STOPPING, Phase.STARTING, Phase.APPLYING, Phase.RESTORING),
    *(Phase.OPENING, Phase.SHIFTING, Phase.SWITCHING, Phase.CLOSING, *TAKEN_AWAY),
)
"""The phases in which the control plane is told to do something."""
PHASES: dict[str, list[Phase | Waiting]] = {
    "Restart": [
        Phase.CHECKING,
        Phase.STOPPING,
        Phase.STARTING,
        Phase.VERIFYING,
        Phase.RESTORING,
        Phase.VERIFYING_RESTORED,
        Phase.FINISHED,
    ],
    "HotApply": [Phase.CHECKING, Phase.APPLYING, Phase.VERIFYING, Phase.FINISHED],
    "RollingUpdate": [
        *(Phase.CHECKING, Phase.OPENING, Phase.PROVING, Phase.SWITCHING, Phase.VERIFYING),
        *(Phase.CLOSING, Phase.FINISHED, *TAKEN_AWAY, Phase.VERIFYING_RESTORED),
    ],
    "BlueGreen": [
        *(Phase.CHECKING, Phase.OPENING, Phase.PROVING, Phase.TESTING, Phase.SWITCHING),
        *(Phase.VERIFYING, Phase.SOAKING, Phase.CLOSING, Phase.FINISHED),
        *(*TAKEN_AWAY, Phase.VERIFYING_RESTORED),
    ],
    "Canary": [
        *(Phase.CHECKING, Phase.OPENING, Phase.PROVING, Phase.SHIFTING, Phase.ANALYSING),
        *(Phase.SWITCHING, Phase.VERIFYING, Phase.CLOSING, Phase.FINISHED),
        *(*TAKEN_AWAY, Phase.VERIFYING_RESTORED),
    ],
    "Manual": [Waiting.HELD, Waiting.APPROVED],
}
BY_ITSELF = [each for each in PHASES if each != "Manual"]
AGREED = "RollingUpdate"
"""How a plan is carried out that a person agreed to."""
TWO_SLOTS = ("RollingUpdate", "BlueGreen", "Canary")
HELD_IN = {
    "RollingUpdate": Phase.VERIFYING,
    "BlueGreen": Phase.SOAKING,
    "Canary": Phase.ANALYSING,
}
"""Where a roll-out waits for a person who takes it back, if the cell is on the way back."""
LONG = "00:10:00"
STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.matrix)]


def on(store: str, request: pytest.FixtureRequest, settings: tuple[str, ...]) -> tuple[str, ...]:
    """The settings, for a store of that kind."""
    if store == "postgresql":
        settings += (f"--Store={request.getfixturevalue('postgres_url')}",)
    return settings


@dataclass(frozen=True)
class Cell:
    """A strategy, one of its phases, and a moment as `tests.support.doomed_daemon` names it."""

    strategy: str
    phase: Phase | Waiting
    moment: str

    def __str__(self) -> str:
        return f"{self.strategy}-{self.phase.value}-{self.moment}"

    @property
    def goes_back(self) -> bool:
        """Whether the phase is reached only where the desired configuration turns out bad."""
        return self.phase in WAY_BACK

    @property
    def starts(self) -> int:
        """How often a server is started on the way, with nothing done twice.

        What failed is tried again where it was not stored that it failed.
        """
        forgotten = self.phase is Phase.RESTORING and self.moment == "storing"
        return 1 + self.goes_back + forgotten if self.strategy == "Restart" else 0

    @property
    def is_held(self) -> bool:
        """Whether what it changes is held until a person takes it back."""
        return self.goes_back and self.strategy in TWO_SLOTS

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings under which the cell is reached soon."""
        return quick(self.strategy, held=self.is_held)

    def doomed(
        self,
        made: World,
        how: signal.Signals,
        name: str = "daemon",
        port: int | None = None,
        victim: int = 0,
    ) -> Program:
        """The daemon that sends the signal there, to itself or to another process."""
        words = (self.phase.value, self.moment, how.name, str(victim))
        command = (sys.executable, "-m", "tests.support.doomed_daemon", *words)
        return made.another_daemon(port=port, name=name, command=command)


def quick(strategy: str, *, held: bool = False) -> tuple[str, ...]:
    """Settings for an operation that is soon over, or `held` where a person takes it back."""
    watched = LONG if held and strategy == "RollingUpdate" else "00:00:00"
    return (
        "--Reconciliation:RestartDelay=00:00:00.3",
        f"--Reconciliation:DefaultStrategy={strategy}",
        f"--Approval:Strategy={AGREED}",
        "--MonitorInterval=00:00:00.5",
        "--Health:MinimumHealthyTime=00:00:00.3",
        f"--Health:StabilizationPeriod={watched}",
        "--TwoSlots:DrainTime=00:00:01",
        f"--BlueGreen:SoakTime={LONG if held else '00:00:01'}",
        *("--Canary:Steps:0=50", "--Canary:Steps:1=100"),
        f"--Analysis:StepTime={LONG if held else '00:00:00.3'}",
        "--Analysis:MinimumSamples=5",
        "--Analysis:MaximumErrorRate=0.5",
        "--Analysis:LatencySlack=00:00:05",
    )


def cells(
    *moments: str,
    quick: Collection[str] | None = None,
    strategies: Collection[str] = tuple(PHASES),
) -> list[Any]:
    """Every cell with these moments as test parameters; those that are not quick are marked."""
    found = []
    for strategy in strategies:
        for phase in PHASES[strategy]:
            for moment in moments:
                cell = Cell(strategy, phase, moment)
                if moment == "calling" and phase not in CALLING:
                    continue
                rest = () if quick is None or str(cell) in quick else (pytest.mark.matrix,)
                found.append(pytest.param(cell, id=str(cell), marks=rest))
    return found


class Change:
    """An instance on its way to another configuration, and what must have become of it."""

    patch: dict[str, Any]
    """What is changed."""

    def __init__(self, made: World, strategy: str, name: str, *, back: bool, starts: int) -> None:
        self._made, self._strategy, self.name = made, strategy, name
        self._back, self._starts, self._cursor = back, starts, ""

    async def order(self) -> None:
        """Change its desired configuration."""
        self._cursor = (await self._made.changes())["cursor"]
        await self._made.patch(self.name, self.patch)

    async def urge(self, daemon: str) -> None:
        """Take it back by the daemon at that URL, where nothing else does."""

    def nobody_noticed(self) -> bool:
        """Whether nobody who uses it noticed anything; in one slot that is not promised."""
        return True

    async def is_told(self) -> bool:
        """Whether its story has an end."""
        return (await self._made.outcomes(self.name))[-1] in ("succeeded", "rolled-back")

    async def check(self) -> None:
        """One server at its best configuration, one story, nothing done twice, nothing open."""
        found = await self._made.instance(self.name)
        assert found["status"] == "Running"
        assert found["operation"] is None
        assert (found["appliedDigest"] == found["desiredDigest"]) is not self._back
        story = [each for each in await self._made.audit(self.name) if each["outcome"] in ENDS]
        ending = "rolled-back" if self._back else "succeeded"
        assert [entry["outcome"] for entry in story] == ["started", ending]
        assert len({entry["operationId"] for entry in story}) == 1
        assert {entry["strategy"] for entry in story} == {self._strategy}
        steps = await self.steps()
        starts = [step for step in steps if step["newStatus"] == "Starting"]
        assert len(starts) == self._starts, "nothing is started twice"
        fences = [step["fence"] for step in steps if step["fence"] is not None]
        assert fences == sorted(fences), "nobody was obeyed after the one that took over"
        assert self.servers() == [await self._made.process_of(self.name)]
        await eventually(self._made.ready)
        shown = await self._made.ask_daemon(f"/api/reconciliation/instances/{self.name}")
        assert shown["state"]["operation"] is None
        verdict = await self._made.ask_daemon("/api/reconciliation/audit/verify")
        assert verdict["intact"] is True

    def servers(self) -> list[int]:
        """The processes of its servers."""
        there = self._made.servers()
        return [each.pid for each in there if f"/{self.name}/" in _line(each)]

    async def steps(self) -> list[dict[str, Any]]:
        """What the control plane wrote down of the instance since the change."""
        changes = (await self._made.changes(self._cursor))["changes"]
        return [each for each in changes if each["instanceId"] == self.name]


ENDS = ("started", "succeeded", "rolled-back", "failed", "superseded")


def _line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())
