"""The strategies side by side; a new one is a file with the same signature and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from draas.decide.strategies.restart import RESTART
from draas.decide.strategies.strategy import Strategy

STRATEGIES: Mapping[str, Strategy] = {strategy.name: strategy for strategy in (RESTART,)}
