"""Make a failing world smaller: the fewest faults of its plan that still break it."""

from __future__ import annotations

from collections.abc import Callable

from draas.testing.faults import Plan


def shrunk(plan: Plan, breaks: Callable[[Plan], bool]) -> Plan:
    """A plan with some of the faults, none of which can be left out; `breaks` holds for it.

    Ever smaller parts are left out, first halves, at last single faults (delta debugging).
    """
    numbers = [fault.number for fault in plan.faults]
    size = max(len(numbers) // 2, 1)
    while True:
        smaller = _without_a_part(plan, numbers, size, breaks)
        if smaller is not None:
            numbers = smaller
        elif size == 1:
            return plan.only(frozenset(numbers))
        else:
            size //= 2


def _without_a_part(
    plan: Plan, numbers: list[int], size: int, breaks: Callable[[Plan], bool]
) -> list[int] | None:
    for start in range(0, len(numbers), size):
        rest = numbers[:start] + numbers[start + size :]
        if breaks(plan.only(frozenset(rest))):
            return rest
    return None
