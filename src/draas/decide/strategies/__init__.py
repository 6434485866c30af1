"""The strategies side by side; a new one is a file with the same signature and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from draas.decide.strategies.hot_apply import HOT_APPLY
from draas.decide.strategies.restart import RESTART
from draas.decide.strategies.strategy import Strategy
from draas.model.instance import InstanceState
from draas.model.reconciliation import Drift, DriftKind
from draas.model.status import InstanceStatus

STRATEGIES: Mapping[str, Strategy] = {strategy.name: strategy for strategy in (RESTART, HOT_APPLY)}

AUTO = "auto"
"""Not a strategy: the least disruptive one that can correct the drift at hand."""


def chosen(wanted: str, state: InstanceState, drift: Drift) -> tuple[Strategy, str]:
    """The strategy to use and why it is this one."""
    if wanted != AUTO:
        return STRATEGIES[wanted], "it is the one that was asked for"
    if state.status != InstanceStatus.RUNNING or DriftKind.RUN_STATE in drift.kinds:
        return RESTART, "nothing runs that could be changed in place"
    if DriftKind.HEALTH in drift.kinds:
        return RESTART, "what is not healthy is not trusted to change in place"
    return HOT_APPLY, "only components may differ; it restarts where a setting of the server does"
