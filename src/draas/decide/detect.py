"""Find drift by digests and levels alone; fields are compared only when somebody acts."""

from __future__ import annotations

from functools import lru_cache

from draas.model.instance import InstanceState
from draas.model.reconciliation import Drift, DriftKind
from draas.model.status import Health, InstanceStatus, RunState

CHANGED = "the desired configuration changed"
IN_TRANSITION = frozenset({InstanceStatus.STARTING, InstanceStatus.STOPPING})
NOT_RUNNING = frozenset({InstanceStatus.CREATED, InstanceStatus.STOPPED, InstanceStatus.ERROR})

# Each change of each instance comes through here, with the same few words.
_status = lru_cache(InstanceStatus.parse_or_unknown)
_run_state = lru_cache(RunState.parse)
_health = lru_cache(Health.parse_or_unknown)


def detect(state: InstanceState, target_digest: str | None = None) -> Drift:
    """The drift of an instance from its target, by default its desired configuration (R-030, B-05).

    A user's stop is no drift, whatever the configuration; a status or health nobody knows is
    Unknown, never "no drift" (B-06). Something in transition is neither: its end will be news.
    """
    status = _status(state.status)
    try:
        wanted = _run_state(state.desired_run_state)
    except ValueError:
        return Drift(unknown=f"desired run state {state.desired_run_state!r} is not known")
    if status is InstanceStatus.UNKNOWN:
        return Drift(unknown=state.reason or f"status {state.status!r} is not known")
    if status in IN_TRANSITION:
        return Drift(unknown=f"the instance is {status.value.lower()}")
    target = target_digest or state.desired_digest
    if status in NOT_RUNNING:
        if wanted is RunState.STOPPED:
            return Drift()
        return Drift((DriftKind.RUN_STATE,), cause=_why_down(state, status))
    return _drift_of_running(state, target)


def _why_down(state: InstanceState, status: InstanceStatus) -> str:
    if status is InstanceStatus.ERROR:
        return state.reason or "is in Error, and nobody says why"
    return f"should run and is {status.value}"


def _drift_of_running(state: InstanceState, target: str) -> Drift:
    kinds: list[DriftKind] = []
    causes: list[str] = []
    if state.applied_digest is not None and state.applied_digest != target:
        kinds.append(DriftKind.CONFIGURATION)
        causes.append(CHANGED)
    observed, applied = state.observed_components_digest, state.applied_components_digest
    if observed is not None and applied is not None and observed != applied:
        kinds.append(DriftKind.OBSERVED)
        causes.append("the running server was changed behind our back")
    health = _health(state.health)
    if health in (Health.UNHEALTHY, Health.DEGRADED):
        kinds.append(DriftKind.HEALTH)
        causes.append(state.reason or f"health is {state.health}")
    is_looked_at = applied is not None  # not by a control plane with the basic endpoints alone
    if not kinds and is_looked_at and health is Health.UNKNOWN:
        return Drift(unknown=state.reason or "its health is not known")
    if not kinds and is_looked_at and observed is None:
        return Drift(unknown=state.reason or "what it runs has not been observed")
    return _drift(tuple(kinds), "; ".join(causes))


@lru_cache
def _drift(kinds: tuple[DriftKind, ...], cause: str) -> Drift:
    return Drift(kinds, cause=cause)
