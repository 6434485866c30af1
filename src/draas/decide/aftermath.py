"""What is remembered of an operation: back-off, repairs, quarantine (D-11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from draas.decide.backoff import delay
from draas.decide.rules import Rules
from draas.model.reconciliation import DriftKind, Memory, Operation, Outcome, Quarantine

KEPT = 20
"""How many failed digests of one instance are remembered; older ones may be tried again."""


def remember(
    memory: Memory,
    operation: Operation,
    last_good_digest: str | None,
    rules: Rules,
    now: datetime,
    jitter: float,
) -> Memory:
    """The memory of an instance after `operation` finished; an approval counts once.

    A digest that is proven bad, and that there is something better for, is quarantined at once.
    One that failed with nothing to go back to, or that was only kept from starting, is retried
    with back-off and quarantined after as many failures as there are attempts. The last good digest
    itself is never quarantined: there is nothing better to run. One that comes up and ends, again
    and again, is: that matters as soon as something else counts as the last good one.
    """
    memory = replace(memory, approval=None)
    if operation.outcome is Outcome.SUPERSEDED:
        return memory
    same = memory.worked_digest == operation.target_digest
    repairs = (memory.repairs if same and not _was_quiet(memory, rules, now) else 0) + 1
    memory = replace(
        memory,
        last_operation_at=now,
        repairs=repairs,
        worked_digest=operation.target_digest,
        worked_generation=max(memory.worked_generation, operation.target_generation or 0),
        worked_shared=operation.shared_digest,
        previous_digest=operation.previous_digest,
        previous_generation=operation.previous_generation,
    )
    if operation.outcome is Outcome.SUCCEEDED:
        return _after_success(memory, operation, rules, now, jitter)
    failures = (memory.failures if same else 0) + 1
    memory = replace(
        memory,
        failures=failures,
        not_before=now + delay(failures, rules.retry_delay, rules.backoff_maximum, jitter),
    )
    if operation.target_digest == last_good_digest:
        return memory
    rolled_back = operation.outcome is Outcome.ROLLED_BACK
    better = rolled_back or last_good_digest is not None
    proven = operation.permanent and better
    if proven or ((rolled_back or operation.permanent) and failures >= rules.attempts):
        failed = Quarantine(
            operation.target_digest,
            operation.error,
            now,
            operation.id,
            operation.shared_digest,
        )
        kept = (failed, *_without(memory, failed.digest))[:KEPT]
        return replace(memory, quarantines=kept, held_audited=f"quarantine:{failed.digest}")
    return memory


def _was_quiet(memory: Memory, rules: Rules, now: datetime) -> bool:
    """Whether it was left alone for long enough; time in back-off proves nothing."""
    if memory.last_operation_at is None:
        return True
    rested_from = max(memory.last_operation_at, memory.not_before or memory.last_operation_at)
    return now - rested_from >= rules.backoff_reset_after


def _after_success(
    memory: Memory, operation: Operation, rules: Rules, now: datetime, jitter: float
) -> Memory:
    fights = memory.repairs - rules.free_repairs
    wait = delay(fights, rules.retry_delay, rules.backoff_maximum, jitter)
    kept = _without(memory, operation.target_digest)
    if DriftKind.RUN_STATE in operation.kinds and fights > 0:
        why = f"it came up and ended again {memory.repairs} times; last: {operation.cause}"
        kept = (Quarantine(operation.target_digest, why, now, operation.id), *kept)[:KEPT]
    return replace(memory, failures=0, not_before=now + wait, quarantines=kept)


def _without(memory: Memory, digest: str) -> tuple[Quarantine, ...]:
    return tuple(held for held in memory.quarantines if held.digest != digest)
