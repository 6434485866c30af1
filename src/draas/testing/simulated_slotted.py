"""The slots of a simulated instance as values: who serves, what stands beside it, who leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from draas.control_plane.leadership import Leadership
from draas.control_plane.ports import Running
from draas.control_plane.records import Record, put
from draas.control_plane.records import Slot as Kept
from draas.model.instance import Instance
from draas.model.slots import CANDIDATE, MAIN, Followed
from draas.testing.simulated_handover import SimulatedHandover, SimulatedHost, leads
from draas.testing.simulated_traffic import Flow


@dataclass
class Spare:
    """The slot that does not serve; `up` once it answers, `ended` says why it does not any more."""

    name: str
    document: dict[str, Any]
    role: str = CANDIDATE
    up: bool = True
    ended: str = ""

    @property
    def runs(self) -> bool:
        """Whether it can be given anything to do."""
        return self.up and not self.ended


class Slotted:
    """The slots of an instance from one start to the end of all that came from it.

    `weights` are what was recorded, those of `flow` what is live.
    """

    def __init__(self) -> None:
        self.serving = MAIN
        self.spare: Spare | None = None
        self.weights: dict[str, int] = {MAIN: 100}
        self.flow = Flow(weights=dict(self.weights))
        self.hosts = {MAIN: SimulatedHost()}
        self.handover = SimulatedHandover(lambda _instance_id: self.hosts)
        self.leadership = Leadership(self.handover)

    def runs(self, name: str, *, served: bool) -> bool:
        """Whether a slot runs; `served`: whether anything runs in the one that serves."""
        if name == self.serving:
            return served
        return self.spare is not None and self.spare.name == name and self.spare.runs

    def dies(self, name: str) -> None:
        """What ran in a slot answers nobody any more."""
        self.flow.dead.add(name)
        if name in self.hosts:
            self.hosts[name].dead = True

    def followed(self, name: str) -> Followed | None:
        """What the server of a slot says of the lead."""
        host = self.hosts.get(name)
        if host is None or host.dead:
            return None
        return Followed(role=host.role, leader=host.peer, error=host.error)

    def leaders(self) -> list[str]:
        """The slots whose servers lead."""
        return [name for name, host in self.hosts.items() if host.leads]

    def mend(self) -> None:
        """After a crash of the control plane: what it had in memory is gone, and somebody leads."""
        self.leadership = Leadership(self.handover)
        host = self.hosts.get(self.serving)
        if host is not None and host.sealed and not leads(self.hosts, host.peer):
            host.lead()

    def record(self, instance_id: str, *, served: bool) -> Record:
        """As much of a record as says which slots run."""
        names = [self.serving] if served else []
        names += [self.spare.name] if self.spare is not None else []
        kept = {name: _kept(name, runs=self.runs(name, served=served)) for name in names}
        serving = kept.pop(self.serving, None)
        spare = next(iter(kept.values()), None)
        return put(_bare(instance_id), slot=serving, spare=spare)


def running(instance_id: str, name: str) -> Running:
    """What is asked in a slot."""
    return Running(instance_id, name, 1, 1.0, "", 0)


def _kept(name: str, *, runs: bool) -> Kept:
    return Kept(
        name=name,
        host="",
        port=0,
        digest="",
        components_digest="",
        generation=None,
        at="",
        process_id=1 if runs else None,
        process_started=1.0 if runs else None,
    )


def _bare(instance_id: str) -> Record:
    instance = Instance(
        id=instance_id,
        generation=1,
        desired_digest="",
        desired_run_state="Running",
        status="Running",
        name="",
        created_at="",
    )
    return Record(instance=instance, port=0)
