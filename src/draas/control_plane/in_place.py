"""Bring what runs in one slot to other components, and believe only what it reports then."""

from __future__ import annotations

import asyncio

from draas.contract.problems import ProblemError
from draas.control_plane.monitor import components_digest
from draas.control_plane.ports import (
    Editor,
    Observation,
    Observer,
    Running,
    StepError,
    UnansweredStepError,
)
from draas.decide.hot_apply import hot_steps
from draas.model.canonical import Configuration
from draas.model.configuration import ConfigurationError, from_snapshot
from draas.model.status import Health

SETTLING_SECONDS = 5.0
"""How long the server gets after the last step until all that should run does."""
_IDLE = ("Stopped", "Added")
_PARTS = {"source": "sources", "query": "queries", "reaction": "reactions"}


class InPlace:
    """Observes the server and makes the steps that are missing; the same again goes on with it."""

    def __init__(self, observer: Observer, editor: Editor, *, restarts_queries: bool) -> None:
        self._observer = observer
        self._editor = editor
        self._restarts_queries = restarts_queries

    async def make(
        self,
        running: Running,
        applied: Configuration,
        target: Configuration,
        digest: str,
        *,
        only_reported: bool = False,
    ) -> int:
        """See that the server has the components of `target`; how many steps that took.

        `applied` tells of what no server reports, `digest` is of the components of `target`. With
        `only_reported` these need not run yet: they may load for long.

        Raises:
            ProblemError: hot-apply-failed; or instance-unobservable, where it cannot be read, or
                with `only_reported` is still at a step. What it runs is not known then.
        """
        seen = await self._observer.observe(running)
        steps = hot_steps(
            _components(running, seen),
            applied,
            target,
            idle=[
                (_PARTS[each.kind], each.id)
                for each in seen.components
                if each.auto_start and each.status in _IDLE
            ],
            forgotten=[
                each.id
                for each in seen.components
                if self._restarts_queries and each.kind == "query" and each.status not in _IDLE
            ],
        )
        for step in steps:
            try:
                await self._editor.carry_out(running, step)
            except StepError as error:
                goes_on = only_reported and isinstance(error, UnansweredStepError)
                raise ProblemError(
                    "instance-unobservable" if goes_on else "hot-apply-failed",
                    f"instance {running.instance_id!r}: {error}",
                ) from None
        await self._verify(running, digest, only_reported)
        return len(steps)

    async def _verify(self, running: Running, wanted: str, only_reported: bool) -> None:
        for _ in range(int(SETTLING_SECONDS / 0.1)):
            seen = await self._observer.observe(running)
            digest, unreadable = components_digest(seen)
            if digest == wanted and (only_reported or seen.health is Health.HEALTHY):
                return
            await asyncio.sleep(0.1)
        wrong = unreadable or seen.reason or "it reports something else than what was applied"
        raise ProblemError(
            "hot-apply-failed", f"instance {running.instance_id!r} after the changes: {wrong}"
        )


def _components(running: Running, seen: Observation) -> Configuration:
    try:
        if seen.snapshot is not None:
            return from_snapshot(seen.snapshot)
        why = seen.reason or "it does not answer"
    except ConfigurationError as error:
        why = str(error)
    raise ProblemError(
        "instance-unobservable", f"instance {running.instance_id!r} cannot be read now: {why}"
    )
