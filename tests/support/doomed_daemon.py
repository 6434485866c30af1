"""A real daemon that kills itself with -9 when an operation reaches a phase.

`python -m tests.support.doomed_daemon PHASE before|after daemon --data … [settings]`: *after* is
right after the phase was stored, before it is acted on; *before* is after the phase's work was
done, before the next phase is stored.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.entrypoints.draas import main
from draas.model.reconciliation import Operation, Phase

PHASE, MOMENT = Phase(sys.argv[1]), sys.argv[2]
save, finish = SqlReconciliationStore.save_operation, SqlReconciliationStore.finish
stored: dict[str, Phase] = {}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def doomed_save(self: SqlReconciliationStore, operation: Operation, *entries: Any) -> None:
    if MOMENT == "before" and stored.get(operation.instance_id) is PHASE is not operation.phase:
        die()
    await save(self, operation, *entries)
    stored[operation.instance_id] = operation.phase
    if MOMENT == "after" and operation.phase is PHASE:
        die()


async def doomed_finish(self: SqlReconciliationStore, operation: Operation, *rest: Any) -> None:
    if PHASE is Phase.FINISHED and MOMENT == "before":
        die()
    await finish(self, operation, *rest)
    if PHASE is Phase.FINISHED:
        die()


if __name__ == "__main__":
    SqlReconciliationStore.save_operation = doomed_save  # type: ignore[method-assign]
    SqlReconciliationStore.finish = doomed_finish  # type: ignore[method-assign]
    sys.argv = ["draas", *sys.argv[3:]]
    main()
