"""What is known of an instance: the values that both processes decide on."""

from __future__ import annotations

import sys

import msgspec


class OperationInFlight(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The lifecycle call that holds an instance's lock; `fence` if it came with one.

    `host` is that of the control plane which carries it out, where there can be several.
    """

    kind: str
    id: str
    actor: str
    started_at: str
    fence: int | None = None
    host: str | None = None


class InstanceState(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """An instance as levels: enough to find drift, a few hundred bytes, no configuration.

    Digests are those of `draas.model.configuration`; `None` means not known (or, for `applied…`,
    that nothing runs). Enumerations travel as their names, so that a new one breaks nobody.
    `second_slot` says what else runs beside the serving slot: a `candidate`, or one that is
    `retired`. `labels` are told where there are any.
    """

    id: str
    generation: int
    desired_digest: str
    desired_run_state: str
    status: str
    health: str = "Unknown"
    applied_digest: str | None = None
    applied_generation: int | None = None
    applied_components_digest: str | None = None
    observed_components_digest: str | None = None
    last_good_generation: int | None = None
    reason: str | None = None
    second_slot: str | None = None
    operation: OperationInFlight | None = None
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def compact(state: InstanceState) -> InstanceState:
    """The same state, its equal texts held once: half the memory of an instance in order."""
    desired, components = state.desired_digest, state.applied_components_digest
    if state.applied_digest is desired and state.observed_components_digest is components:
        return state
    return msgspec.structs.replace(
        state,
        desired_run_state=sys.intern(state.desired_run_state),
        status=sys.intern(state.status),
        health=sys.intern(state.health),
        applied_digest=desired if state.applied_digest == desired else state.applied_digest,
        observed_components_digest=components
        if state.observed_components_digest == components
        else state.observed_components_digest,
    )


class Instance(InstanceState, frozen=True, kw_only=True, gc=False, rename="camel"):
    """An instance with what people call it."""

    name: str
    description: str = ""
    platform_type: str = "Process"
    created_at: str
    last_modified_at: str | None = None
    metadata: dict[str, str] = {}
    labels: dict[str, str] = {}
    applied_at: str | None = None
