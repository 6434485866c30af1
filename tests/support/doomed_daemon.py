"""A real daemon that sends itself a signal, once, when an operation reaches a phase.

`python -m tests.support.doomed_daemon PHASE MOMENT SIGNAL daemon --data … [settings]`, where MOMENT

- *after*: right after the phase was stored, before it is acted on;
- *calling*: with the phase's call to the control plane decided on, and not sent yet;
- *before*: after the phase's work was done, before the next phase is stored;
- *storing*: in the middle of the transaction that stores the phase, its locks held.
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
from draas.model.reconciliation import Operation, Phase

PHASE, MOMENT, SIGNAL = Phase(sys.argv[1]), sys.argv[2], signal.Signals[sys.argv[3]]
save, finish = SqlReconciliationStore.save_operation, SqlReconciliationStore.finish
append, call = reconciliation._append, NativeControlPlane._lifecycle
stored: dict[str, Phase] = {}
storing: set[Phase] = set()
met: list[str] = []


def meet_fate(moment: str) -> bool:
    if moment != MOMENT or met:
        return False
    met.append(moment)
    os.kill(os.getpid(), SIGNAL)
    return True


async def doomed_save(self: SqlReconciliationStore, operation: Operation, *entries: Any) -> None:
    if stored.get(operation.instance_id) is PHASE is not operation.phase:
        meet_fate("before")
    storing.add(operation.phase)
    await save(self, operation, *entries)
    storing.discard(operation.phase)
    stored[operation.instance_id] = operation.phase
    if operation.phase is PHASE:
        meet_fate("after")


async def doomed_finish(self: SqlReconciliationStore, operation: Operation, *rest: Any) -> None:
    if PHASE is Phase.FINISHED:
        meet_fate("before")
        storing.add(PHASE)
    await finish(self, operation, *rest)
    if PHASE is Phase.FINISHED:
        meet_fate("after")


async def doomed_append(*arguments: Any) -> None:
    await append(*arguments)
    if PHASE in storing:
        meet_fate("storing")


async def doomed_call(self: NativeControlPlane, instance_id: str, *rest: Any) -> Any:
    if stored.get(instance_id) is PHASE and meet_fate("calling"):
        await asyncio.sleep(
            0.1
        )  # Connections that were closed meanwhile are found out: it arrives.
    return await call(self, instance_id, *rest)


if __name__ == "__main__":
    SqlReconciliationStore.save_operation = doomed_save  # type: ignore[method-assign]
    SqlReconciliationStore.finish = doomed_finish  # type: ignore[method-assign]
    reconciliation._append = doomed_append
    NativeControlPlane._lifecycle = doomed_call  # type: ignore[method-assign]
    sys.argv = ["draas", *sys.argv[4:]]
    main()
