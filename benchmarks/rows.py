"""A measured figure, with the baseline of the same run and the target where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is value/baseline. A target is the greatest value or, with a baseline, ratio."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        """The part of the baseline's cost that is left."""
        return self.value / self.baseline if self.baseline else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; `None` without one."""
        if self.target is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.target

    def as_json(self) -> dict[str, Any]:
        """The row of build/bench.json."""
        row: dict[str, Any] = {"name": self.name, "value": _short(self.value), "unit": self.unit}
        if self.baseline is not None and self.ratio is not None:
            row |= {"baseline": _short(self.baseline), "ratio": _short(self.ratio)}
        return row

    def as_cells(self) -> tuple[str, str, str, str]:
        """Reached, baseline, ratio and target, as a person reads them."""
        target = self.target
        if self.ratio is None:
            wanted = "" if target is None else f"≤ {_short(target):,} {self.unit}"
            return f"{_short(self.value):,} {self.unit}", "", "", wanted
        return (
            f"{_short(self.value):,} {self.unit}",
            f"{_short(self.baseline or 0):,} {self.unit}",
            f"1/{_short(1 / self.ratio):,}" if self.ratio else "0",
            "" if target is None else f"1/{_short(1 / target):,}",
        )


def _short(value: float) -> float | int:
    """Three figures that count."""
    if value >= 100:
        return round(value)
    return float(f"{value:.3g}")
