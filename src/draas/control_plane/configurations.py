"""Desired configurations: read, patched and replaced by compare-and-set, with their history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.contract.slots import MAIN
from draas.control_plane.documents import Document, document, invalid, stored
from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.picture import absent
from draas.control_plane.preconditions import require
from draas.control_plane.records import Cause, Generation, Record, Slot, put, version
from draas.control_plane.status import transition
from draas.control_plane.store import Store, StoreError
from draas.control_plane.transitions import wanted as runs
from draas.decide.kinds import Kinds
from draas.model.configuration import Configuration, ConfigurationError
from draas.model.instance import Instance
from draas.model.json_value import encoded
from draas.model.patch import (
    PatchMalformed,
    PatchPathMissing,
    PatchTestFailed,
    apply_patch,
    apply_server_patch,
)

REMEMBERED = 256
"""Configurations that are kept in memory, those used last."""


class _Superseded(Exception):  # noqa: N818  a race that was lost, not a fault
    """Somebody else stored a newer generation meanwhile."""


class Configurations:
    """What each instance is to run; every change is one generation with one event (B-79, B-93)."""

    def __init__(self, fleet: Fleet, store: Store, kinds: Kinds | None) -> None:
        self._fleet = fleet
        self._store = store
        self._kinds = kinds
        self._recent: dict[str, Generation] = {}

    async def get(self, instance_id: str) -> Generation:
        """The present configuration of an instance.

        Raises:
            ProblemError: there is no such instance.
        """
        while True:
            instance = self._fleet.get(instance_id).instance
            number = instance.generation
            found = self._recent.get(instance_id)
            if found is None or not _is_of(found, instance):
                found = await self._store.configuration(instance_id, number)
            if found is not None and _is_of(found, self._fleet.get(instance_id).instance):
                return self._remembered(found)
            if self._fleet.get(instance_id).instance is instance:
                raise StoreError(f"generation {number} of instance {instance_id!r} is not there")

    async def patch(
        self, instance_id: str, operations: Any, if_match: str | None, cause: Cause
    ) -> Generation:
        """The configuration after a JSON Patch: all of it, or nothing.

        Raises:
            ProblemError: malformed-body, patch-test-failed, patch-path-missing,
                invalid-configuration, precondition-failed or instance-not-found.
        """
        return await self._change(
            instance_id, lambda present: patched(present, operations), if_match, cause
        )

    async def patch_server(
        self, instance_id: str, operations: Any, if_match: str | None, cause: Cause
    ) -> Generation:
        """The configuration after a JSON Patch of its host, port and log level; raises as `patch`.

        What is beside the three stays as it is.
        """

        def change(present: Configuration) -> Configuration:
            return patched(present, operations, apply_server_patch)

        return await self._change(instance_id, change, if_match, cause)

    async def put(
        self, instance_id: str, given: Any, if_match: str | None, cause: Cause
    ) -> Generation:
        """The whole configuration replaced; a port that is not given stays as it is.

        Raises:
            ProblemError: invalid-configuration, precondition-failed or instance-not-found.
        """
        return await self._change(instance_id, lambda _: given, if_match, cause)

    async def history(self, instance_id: str) -> list[Generation]:
        """All generations, newest first, without documents; `instance-not-found` if unknown."""
        self._fleet.get(instance_id)
        return await self._store.generations(instance_id)

    async def generation(self, instance_id: str, number: int) -> Generation:
        """One generation.

        Raises:
            ProblemError: instance-not-found or generation-not-found.
        """
        self._fleet.get(instance_id)
        found = await self._store.configuration(instance_id, number)
        if found is None:
            raise ProblemError(
                "generation-not-found",
                f"instance {instance_id!r} has no generation {number}; its history lists them",
            )
        return found

    async def last_good(self, instance_id: str) -> Generation:
        """The newest configuration that was seen running.

        Raises:
            ProblemError: instance-not-found or no-last-good.
        """
        number = self._fleet.get(instance_id).instance.last_good_generation
        if number is None:
            raise ProblemError(
                "no-last-good",
                f"no configuration of instance {instance_id!r} has been seen running yet",
            )
        return await self.generation(instance_id, number)

    async def to_run(
        self, instance_id: str, given: Any | None, cause: Cause
    ) -> tuple[Document, Slot]:
        """The stored configuration, or `given`, and a slot for it with the generation that it is.

        Raises:
            ProblemError: instance-not-found or invalid-configuration.
        """
        record = self._fleet.get(instance_id)
        if given is None:
            base = await self.get(instance_id)
            what, generation = stored(base.document, self._kinds), base.generation
        else:
            what = document(given, port=record.port, kinds=self._kinds)
            history = await self.history(instance_id)
            known = (each.generation for each in history if each.digest == what.digest)
            generation = next(known, None)  # type: ignore[assignment]
        slot = Slot(
            name=MAIN,
            host=what.host,
            port=what.port,
            digest=what.digest,
            components_digest=what.components_digest,
            generation=generation,
            at=cause.at,
            host_id=self._fleet.host,
        )
        return what, slot

    async def _change(
        self,
        instance_id: str,
        change: Callable[[Configuration], Any],
        if_match: str | None,
        cause: Cause,
    ) -> Generation:
        while True:
            record = self._fleet.get(instance_id)
            require_known(if_match, record.instance)
            base = await self.get(instance_id)
            if not _is_of(base, record.instance):
                continue
            # In a thread: a large document or patch would hold up everybody else.
            wanted = await asyncio.to_thread(
                _changed, change, base.document, record.port, self._kinds, runs(record)
            )
            if wanted is None:
                return base
            try:
                return await self._commit(base, wanted, cause)
            except _Superseded:
                continue

    async def _commit(self, base: Generation, wanted: Document, cause: Cause) -> Generation:
        new = Generation(
            instance_id=base.instance_id,
            generation=base.generation + 1,
            digest=wanted.digest,
            document=wanted.encoded,
            at=cause.at,
            actor=cause.actor,
            operation_id=cause.operation_id,
        )

        def decide(record: Record | None) -> Transition:
            if record is None:
                raise absent(base.instance_id)
            if not _is_of(base, record.instance):
                raise _Superseded
            after = put(
                record,
                generation=new.generation,
                desired_digest=new.digest,
                last_modified_at=cause.at,
                port=wanted.port,
            )
            return transition(record, after, cause, generation=new)

        await self._fleet.change(base.instance_id, decide)
        return self._remembered(new)

    def _remembered(self, found: Generation) -> Generation:
        """Kept for the reader who comes next, as after each change one does."""
        self._recent.pop(found.instance_id, None)
        self._recent[found.instance_id] = found
        if len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]
        return found


def _changed(
    change: Callable[[Configuration], Any],
    stored: bytes,
    port: int,
    kinds: Kinds | None,
    to_run: bool,
) -> Document | None:
    """The changed document; `None` if every value is as it was, in whatever order."""
    present = msgspec.json.decode(stored)
    wanted = document(change(present), port=port, kinds=kinds, to_run=to_run)
    return None if encoded(wanted.configuration) == encoded(present) else wanted


def _is_of(found: Generation, instance: Instance) -> bool:
    """Whether this is what the instance is to run now, and not a predecessor of the same id."""
    return (found.generation, found.digest, found.at) == (
        instance.generation,
        instance.desired_digest,
        _stored_at(instance),
    )


def _stored_at(instance: Instance) -> str:
    return instance.last_modified_at or instance.created_at


def present_version(instance: Instance) -> str:
    """The version of the configuration that an instance is to run now."""
    return version(instance.generation, instance.desired_digest, _stored_at(instance))


def patched(
    present: Configuration,
    operations: Any,
    apply: Callable[[Configuration, Any], Configuration] = apply_patch,
) -> Configuration:
    """The document after the operations, with what refuses them as problems."""
    try:
        return apply(present, operations)
    except PatchMalformed as error:
        raise ProblemError("malformed-body", str(error)) from None
    except PatchTestFailed as error:
        raise ProblemError("patch-test-failed", str(error)) from None
    except PatchPathMissing as error:
        fault = {"path": error.path, "value": None, "message": str(error)}
        raise ProblemError("patch-path-missing", str(error), errors=[fault]) from None
    except ConfigurationError as error:
        raise invalid(error.faults) from None


def require_known(if_match: str | None, instance: Instance) -> None:
    """Refuse a change whose `If-Match` names neither the present version nor its generation.

    Raises:
        ProblemError: precondition-failed.
    """
    number, tag = f'"{instance.generation}"', f'"{present_version(instance)}"'
    what = f"the present generation {number}, {tag}"
    require(if_match, (number, tag), what, generation=instance.generation)
