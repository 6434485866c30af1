"""The strategies side by side; a new one is a file with the same signature and a line here.

Other packages bring theirs by an entry point (`installed`).
"""

from __future__ import annotations

from collections.abc import Mapping

from draas.decide.rules import Rules
from draas.decide.strategies.blue_green import BLUE_GREEN
from draas.decide.strategies.canary import CANARY
from draas.decide.strategies.hot_apply import HOT_APPLY
from draas.decide.strategies.installed import installed
from draas.decide.strategies.restart import RESTART
from draas.decide.strategies.rolling_update import ROLLING_UPDATE
from draas.decide.strategies.strategy import Strategy
from draas.model.instance import InstanceState
from draas.model.reconciliation import Drift, DriftKind, Snapshot
from draas.model.status import InstanceStatus

AUTO = "auto"
"""Not a strategy: the least disruptive one that can correct the drift at hand."""
RESERVED = (AUTO, "Manual")

_OWN = {each.name: each for each in (RESTART, HOT_APPLY, ROLLING_UPDATE, BLUE_GREEN, CANARY)}
_FOUND, UNUSABLE = installed((*_OWN, *RESERVED))
"""`UNUSABLE` says of what other packages bring, by entry point, why it cannot be used."""
STRATEGIES: Mapping[str, Strategy] = {**_OWN, **_FOUND}


def needs_slots(wanted: str) -> bool:
    """Whether the choice depends on what two slots would meet."""
    return wanted == AUTO or STRATEGIES[wanted].two_slots


def chosen(
    wanted: str, snapshot: Snapshot, state: InstanceState, drift: Drift, target: str, rules: Rules
) -> tuple[Strategy, str]:
    """The strategy to use and why it is this one.

    A way back is no roll-out: it skips steps and analysis and keeps the instance available. What
    does not run, or is not healthy, is restarted: there is nothing that a second slot could follow.
    """
    down = state.status != InstanceStatus.RUNNING or DriftKind.RUN_STATE in drift.kinds
    sick = DriftKind.HEALTH in drift.kinds
    if wanted == AUTO:
        return _least_disruptive(snapshot, down, sick, rules)
    strategy = STRATEGIES[wanted]
    if not strategy.two_slots:
        return strategy, "it is the one that was asked for"
    if down or sick:
        what = "nothing runs" if down else "nothing healthy runs"
        return RESTART, f"{what} that a second slot of {wanted} could follow"
    if target != state.desired_digest:
        return ROLLING_UPDATE, f"the way back skips the steps of {wanted}"
    return strategy, "it is the one that was asked for"


def _least_disruptive(
    snapshot: Snapshot, down: bool, sick: bool, rules: Rules
) -> tuple[Strategy, str]:
    if down:
        return RESTART, "nothing runs that could be changed in place"
    if sick:
        return RESTART, "what is not healthy is not trusted to change in place"
    settings, slots = snapshot.changed_settings, snapshot.slots
    if not settings:
        return (
            HOT_APPLY,
            "only components may differ; it restarts where a setting of the server does",
        )
    changed = f"settings of the server differ ({', '.join(settings)})"
    if slots is None or not slots.possible:
        why = "; ".join(slots.reasons) if slots else "not known"
        return RESTART, f"{changed} and two slots are not possible: {why}"
    if slots.losses and not rules.allow_state_loss:
        lost = ", ".join(each.query for each in slots.losses)
        return RESTART, f"{changed} and two slots would empty {lost}"
    return ROLLING_UPDATE, f"{changed}, and two slots are possible: no downtime"
