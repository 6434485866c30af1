"""Parity of results: the verdict, and what is told of rows that differ."""

from __future__ import annotations

import pytest

from draas.decide.parity import differences, parity
from draas.model.operation import Verdict
from draas.model.slots import Parity, QueryParity

SAME = QueryParity(id="q", same=True)
UNKNOWN = QueryParity(id="r", same=None, reason="not settled")
OTHER = QueryParity(id="s", same=False, missing=[{"id": 1}], extra=[{"id": 2}, {"id": 3}])


@pytest.mark.parametrize(
    ("queries", "verdict", "reasons"),
    [
        pytest.param([], Verdict.PASS, (), id="every query changed"),
        pytest.param([SAME], Verdict.PASS, (), id="the same"),
        pytest.param(
            [SAME, UNKNOWN], Verdict.INCONCLUSIVE, ("query 'r': not settled",), id="not known"
        ),
        pytest.param(
            [UNKNOWN, OTHER],
            Verdict.FAIL,
            ("query 's' gives other rows: 1 rows are missing, 2 are too many",),
            id="other rows",
        ),
    ],
)
def test_parity(queries: list[QueryParity], verdict: Verdict, reasons: tuple[str, ...]) -> None:
    judgement = parity(Parity(queries=queries))
    assert (judgement.verdict, judgement.reasons) == (verdict, reasons)


def test_rows_are_told_with_their_secrets_masked_and_cut_short() -> None:
    rows = [
        {"id": 1, "password": "hunter2"},
        {"text": "x" * 10_000},
        *({"id": n} for n in range(50)),
    ]
    told = differences(Parity(queries=[QueryParity(id="q", same=False, missing=rows)]))
    assert len(told) == 20
    assert told[0] == {
        "path": "queries[q].results",
        "actual": {"id": 1, "password": "***"},
        "desired": None,
        "kind": "removed",
    }
    assert len(str(told[1]["actual"])) < 600
