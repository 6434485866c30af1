"""Result parity: a query whose text did not change gives the same rows in both slots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from draas.model.operation import Judgement, Verdict
from draas.model.secrets import mask
from draas.model.slots import Parity, QueryParity

ROWS_TOLD = 20
LONGEST_ROW = 500


def parity(found: Parity) -> Judgement:
    """Pass: all that can be compared is the same; fail: something differs; else nobody knows."""
    different = [each for each in found.queries if each.same is False]
    if different:
        return Judgement(Verdict.FAIL, tuple(_named(each) for each in different))
    unknown = [each for each in found.queries if each.same is None]
    if unknown:
        reasons = tuple(f"query {each.id!r}: {each.reason or 'not known'}" for each in unknown)
        return Judgement(Verdict.INCONCLUSIVE, reasons)
    return Judgement(Verdict.PASS)


def differences(found: Parity) -> tuple[dict[str, object], ...]:
    """Row by row what differs, as the audit tells differences: secrets masked, rows cut short."""
    rows = (row for each in found.queries if each.same is False for row in _rows(each))
    return tuple(row for _, row in zip(range(ROWS_TOLD), rows, strict=False))


def _rows(query: QueryParity) -> Iterator[dict[str, object]]:
    path = f"queries[{query.id}].results"
    for row in query.missing:
        yield {"path": path, "actual": _told(row), "desired": None, "kind": "removed"}
    for row in query.extra:
        yield {"path": path, "actual": None, "desired": _told(row), "kind": "added"}


def _told(row: Any) -> object:
    masked = mask(row)
    text = json.dumps(masked, default=str)
    return masked if len(text) <= LONGEST_ROW else text[:LONGEST_ROW] + "…"


def _named(query: QueryParity) -> str:
    rows = f"{len(query.missing)} rows are missing, {len(query.extra)} are too many"
    return f"query {query.id!r} gives other rows: {query.reason or rows}"
