"""A real daemon that sends a signal, once, when an operation reaches a phase.

`python -m tests.support.doomed_daemon PHASE MOMENT SIGNAL VICTIM daemon --data … [settings]`, where
VICTIM is the id of a process, or 0 for the daemon itself, and MOMENT

- *after*: right after the phase was stored, before it is acted on;
- *calling*: with the phase's call to the control plane decided on, and not sent yet;
- *before*: after the phase's work was done, before the next phase is stored;
- *storing*: in the middle of the transaction that stores the phase, its locks held.

Beside the phases of an operation, PHASE may be *held* or *approved*: what the daemon notes, before
and after, of a plan that waits for a person.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from draas.adapters.store import reconciliation
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.client.control_plane import NativeControlPlane
from draas.entrypoints.draas import main
from draas.model.reconciliation import Memory, Operation, Phase

PHASE, MOMENT, SIGNAL = sys.argv[1], sys.argv[2], signal.Signals[sys.argv[3]]
VICTIM = int(sys.argv[4]) or os.getpid()
save, finish = SqlReconciliationStore.save_operation, SqlReconciliationStore.finish
remember, append = SqlReconciliationStore.remember, reconciliation._append
call, ordered = NativeControlPlane._lifecycle, NativeControlPlane._ordered
stored: dict[str, str] = {}
storing: set[str] = set()
met: list[str] = []


def meet_fate(moment: str) -> bool:
    if moment != MOMENT or met:
        return False
    met.append(moment)
    os.kill(VICTIM, SIGNAL)
    return True


async def doomed_save(self: SqlReconciliationStore, operation: Operation, *entries: Any) -> None:
    phase = operation.phase.value
    if stored.get(operation.instance_id) == PHASE != phase:
        meet_fate("before")
    storing.add(phase)
    await save(self, operation, *entries)
    storing.discard(phase)
    stored[operation.instance_id] = phase
    if phase == PHASE:
        meet_fate("after")


async def doomed_finish(self: SqlReconciliationStore, operation: Operation, *rest: Any) -> None:
    if PHASE in (Phase.FINISHED, stored.get(operation.instance_id)):
        meet_fate("before")
    if PHASE == Phase.FINISHED:
        storing.add(PHASE)
    await finish(self, operation, *rest)
    if PHASE == Phase.FINISHED:
        meet_fate("after")


async def doomed_remember(
    self: SqlReconciliationStore, memory: Memory, *entries: Any, fence: int
) -> None:
    noted = PHASE in {entry.outcome for entry in entries}
    if noted:
        meet_fate("before")
    await remember(self, memory, *entries, fence=fence)
    if noted:
        meet_fate("after")


async def doomed_append(*arguments: Any) -> None:
    await append(*arguments)
    if PHASE in storing:
        meet_fate("storing")


async def before_it_is_sent(instance_id: str) -> None:
    if stored.get(instance_id) == PHASE and meet_fate("calling"):
        # Connections that were closed meanwhile are found out: it arrives.
        await asyncio.sleep(0.1)


async def doomed_call(self: NativeControlPlane, instance_id: str, *rest: Any) -> Any:
    await before_it_is_sent(instance_id)
    return await call(self, instance_id, *rest)


async def doomed_order(
    self: NativeControlPlane, method: str, path: str, *rest: Any, **more: Any
) -> Any:
    for instance_id in stored:
        if f"/{instance_id}/" in f"{path}/":
            await before_it_is_sent(instance_id)
    return await ordered(self, method, path, *rest, **more)


if __name__ == "__main__":
    SqlReconciliationStore.save_operation = doomed_save  # type: ignore[method-assign]
    SqlReconciliationStore.finish = doomed_finish  # type: ignore[assignment,method-assign]
    SqlReconciliationStore.remember = doomed_remember  # type: ignore[method-assign]
    reconciliation._append = doomed_append  # type: ignore[assignment]
    NativeControlPlane._lifecycle = doomed_call  # type: ignore[assignment,method-assign]
    NativeControlPlane._ordered = doomed_order  # type: ignore[assignment,method-assign]
    sys.argv = ["draas", *sys.argv[5:]]
    main()
