"""Strategies that other packages bring: found by an entry point, used like our own (R-202)."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import entry_points

from draas.decide.strategies.strategy import Strategy

GROUP = "draas.strategies"


def installed(taken: Collection[str]) -> tuple[dict[str, Strategy], dict[str, str]]:
    """The strategies of installed packages by name, and why the others cannot be used.

    An entry point names a `Strategy`; a defect in it takes nothing else along.
    """
    found: dict[str, Strategy] = {}
    unusable: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        try:
            strategy = point.load()
        except Exception as error:
            unusable[point.name] = f"{point.value} cannot be loaded: {error}"
            continue
        if not isinstance(strategy, Strategy):
            unusable[point.name] = f"{point.value} is no Strategy"
        elif strategy.name in (*taken, *found):
            unusable[point.name] = f"the name {strategy.name!r} is taken"
        else:
            found[strategy.name] = strategy
    return found, unusable
