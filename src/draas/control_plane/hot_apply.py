"""Bring a running server to a configuration in place, without a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane import placement, transitions
from draas.control_plane.calls import Calls
from draas.control_plane.configurations import Configurations
from draas.control_plane.documents import Document
from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.in_place import InPlace
from draas.control_plane.monitor import running_of
from draas.control_plane.outcome import Outcome, outcome
from draas.control_plane.placing import Placing
from draas.control_plane.ports import Running
from draas.control_plane.records import Cause, Record, Slot
from draas.control_plane.traffic import Traffic
from draas.decide.hot_apply import settings_changed
from draas.model.canonical import Configuration


class HotApply:
    """Changes what serves by `InPlace`.

    What is applied changes in the records only after that: a call that breaks off leaves drift, and
    the same call again goes on with it.
    """

    def __init__(
        self,
        fleet: Fleet,
        calls: Calls,
        finisher: Finisher,
        configurations: Configurations,
        in_place: InPlace,
        placing: Placing,
        traffic: Traffic,
        *,
        applied: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._calls = calls
        self._finisher = finisher
        self._configurations = configurations
        self._in_place = in_place
        self._placing = placing
        self._traffic = traffic
        self._applied = applied

    async def apply(self, instance_id: str, given: Any | None, cause: Cause) -> Outcome:
        """Apply the stored configuration, or `given` instead of it, to the running server.

        Raises:
            ProblemError: invalid-configuration, instance-not-running, instance-busy;
                restart-needed, and nothing was touched; hot-apply-failed, and what the server runs
                now shows as drift.
        """
        what, slot = await self._configurations.to_run(instance_id, given, cause)
        mine = self._calls.begun("apply", cause)

        held = self._calls.cause(mine)

        async def work() -> Outcome:
            begun = await self._fleet.change(
                instance_id, lambda record: transitions.changing(record, instance_id, mine, held)
            )
            assert begun is not None and begun.slot is not None
            present = begun.slot
            applied = await self._hot_from(begun, present, what)
            running = _running(begun)
            named = msgspec.structs.replace(slot, name=present.name)
            with self._placing.placed(named, what, present.placement) as (placed, target):
                before = placement.placed(applied, present.placement, present.name)
                changed = await self._in_place.make(
                    running, before, target, placed.components_digest
                )
                now = self._calls.cause(mine)

                def done(record: Record | None) -> Transition:
                    return transitions.changed(record, placed, now) if record else Transition(None)

                after = await self._finisher.settled(instance_id, done) or begun
            await self._traffic.direct(after)
            self._applied(instance_id)
            said = f"{changed} changes applied in place" if changed else "runs it already"
            return outcome(after, "apply", bool(changed), said)

        return await self._calls.finish(instance_id, mine, work())

    async def _hot_from(self, record: Record, present: Slot, what: Document) -> Configuration:
        """What the server was started with, if nothing else than its components must change."""
        if present.generation is None:
            raise _restart_needed(record, "nobody knows the settings that it was started with", ())
        base = await self._configurations.generation(record.instance.id, present.generation)
        applied: Configuration = msgspec.json.decode(base.document)
        changed = settings_changed(applied, what.configuration)
        if changed:
            why = f"settings of the server itself changed: {', '.join(changed)}"
            raise _restart_needed(record, why, changed)
        return applied


def _running(record: Record) -> Running:
    running = running_of(record)
    if running is None:
        raise ProblemError(
            "instance-not-running", f"instance {record.instance.id!r} does not run; start it"
        )
    return running


def _restart_needed(record: Record, why: str, settings: tuple[str, ...]) -> ProblemError:
    return ProblemError(
        "restart-needed",
        f"instance {record.instance.id!r} cannot be changed in place: {why}; restart it",
        settings=list(settings),
    )
