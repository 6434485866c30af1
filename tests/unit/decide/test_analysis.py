"""The verdict on a candidate: what fails, what passes, what stays open, and how often it errs."""

from __future__ import annotations

from datetime import timedelta
from math import log
from random import Random

import pytest

from draas.decide.analysis import AnalysisRules, Compared, analyse, began_again, difference
from draas.decide.latency import quantile, since
from draas.decide.sequential import Sample, above, below, worse
from draas.model.operation import Verdict
from draas.model.slots import Counters, Traffic

RULES = AnalysisRules()
MINUTE = timedelta(minutes=1)
BOUNDS = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


def counters(requests: int, errors: int = 0, latency: float = 8.0, **values: object) -> Counters:
    buckets = [(bound, requests if latency <= bound else 0) for bound in BOUNDS]
    return Counters(
        requests=requests,
        errors=errors,
        latency=[*buckets, (None, requests)],
        **values,  # type: ignore[arg-type]
    )


def compared(candidate: Counters, serving: Counters, **values: object) -> Compared:
    given = {"weight": 50, "elapsed": MINUTE} | values
    return Compared(candidate=candidate, serving=serving, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "verdict", "reason"),
    [
        pytest.param(
            compared(counters(300), counters(300)), Verdict.PASS, "", id="as good as what serves"
        ),
        pytest.param(
            compared(counters(0), counters(0)), Verdict.INCONCLUSIVE, "0 of 50", id="no traffic"
        ),
        pytest.param(
            compared(counters(40), counters(60)), Verdict.INCONCLUSIVE, "40 of 50", id="too little"
        ),
        pytest.param(
            compared(counters(60, 1), counters(60)),
            Verdict.INCONCLUSIVE,
            "errors below 5.0% are not shown",
            id="enough requests, and too few to say how many fail",
        ),
        pytest.param(
            compared(counters(300), counters(300), elapsed=timedelta(seconds=5)),
            Verdict.INCONCLUSIVE,
            "30 s at least",
            id="too early",
        ),
        pytest.param(
            compared(counters(300, 90), counters(300, 30)), Verdict.FAIL, "errors: 90", id="errors"
        ),
        pytest.param(
            compared(counters(1000, 100), counters(1000, 100)),
            Verdict.PASS,
            "",
            id="both fail alike",
        ),
        pytest.param(
            compared(counters(300, latency=60), counters(300)),
            Verdict.FAIL,
            "latency: 95%",
            id="slower",
        ),
        pytest.param(
            compared(counters(40, latency=60), counters(40)),
            Verdict.INCONCLUSIVE,
            "40 of 50",
            id="slower, and nobody can tell yet",
        ),
        pytest.param(
            compared(counters(5), counters(595)),
            Verdict.FAIL,
            "throughput: 5 of 600",
            id="answers a part of its share",
        ),
        pytest.param(
            compared(counters(300, healthy=False), counters(300)),
            Verdict.FAIL,
            "finds it dead",
            id="dead, and hidden by the other one",
        ),
        pytest.param(
            compared(counters(300, retries=20), counters(300)),
            Verdict.FAIL,
            "20 requests had to be answered",
            id="others answer for it",
        ),
        pytest.param(
            compared(counters(300, mirror_failures=1), counters(300)),
            Verdict.FAIL,
            "1 changes did not reach it",
            id="a change did not reach it",
        ),
        pytest.param(
            compared(counters(300, 60), counters(0), weight=100, reference=counters(900, 0)),
            Verdict.FAIL,
            "errors: 60 of 300, beside 0 of 900",
            id="with all the traffic, judged by what was before",
        ),
        pytest.param(
            compared(counters(300), counters(0), weight=100), Verdict.PASS, "", id="all alone"
        ),
    ],
)
def test_the_verdict(seen: Compared, verdict: Verdict, reason: str) -> None:
    judgement, _ = analyse(seen, RULES)
    assert judgement.verdict is verdict, judgement.reasons
    assert reason in "; ".join(judgement.reasons)


def test_what_may_be_chance_is_looked_at_again() -> None:
    _, sure = analyse(compared(counters(300, latency=60), counters(300)), RULES)
    assert not sure
    _, sure = analyse(compared(counters(300, healthy=False), counters(300)), RULES)
    assert sure


def looks(random: Random, candidate: float, serving: float, share: float, blocks: int) -> bool:
    """Whether the test ever says that the candidate is worse, looked at after every block."""
    a, b, evidence = Sample(0, 0), Sample(0, 0), 0.0
    for _ in range(blocks):
        n_a = sum(random.random() < share for _ in range(20))
        n_b = 20 - n_a
        k_a = sum(random.random() < candidate for _ in range(n_a))
        k_b = sum(random.random() < serving for _ in range(n_b))
        next_a = Sample(a.requests + n_a, a.errors + k_a)
        next_b = Sample(b.requests + n_b, b.errors + k_b)
        evidence += worse((a, next_a), (b, next_b))
        a, b = next_a, next_b
        if evidence >= log(1 / 0.05):
            return True
    return False


@pytest.mark.parametrize("rate", [0.002, 0.05, 0.3])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_looking_all_the_time_alarms_no_more_often_than_stated(rate: float, share: float) -> None:
    random = Random(7)
    worlds = 300
    alarms = sum(looks(random, rate, rate, share, 60) for _ in range(worlds))
    assert alarms <= 0.05 * worlds + 3 * (worlds * 0.05 * 0.95) ** 0.5


def test_what_is_worse_is_found() -> None:
    random = Random(8)
    assert sum(looks(random, 0.05, 0.001, 0.25, 100) for _ in range(50)) >= 45


@pytest.mark.parametrize(("test", "limit"), [(below, 0.05), (above, 0.05)])
def test_a_rate_at_the_limit_is_rarely_taken_for_one_beyond_it(test: object, limit: float) -> None:
    random, alarms = Random(9), 0
    for _ in range(300):
        errors = 0
        for n in range(1, 400):
            errors += random.random() < limit
            if n % 10 == 0 and test(Sample(n, errors), limit) >= log(1 / 0.05):  # type: ignore[operator]
                alarms += 1
                break
    assert alarms <= 0.05 * 300 + 3 * (300 * 0.05 * 0.95) ** 0.5


def test_quantiles_are_those_of_prometheus() -> None:
    buckets = [(10.0, 50), (20.0, 100), (None, 100)]
    assert quantile(buckets, 0.5) == 10.0
    assert quantile(buckets, 0.95) == 19.0
    assert quantile([(10.0, 0), (None, 7)], 0.95) == 10.0, "beyond the last bound, that bound"
    assert quantile([], 0.95) is None
    assert since([(10.0, 5), (20.0, 9), (None, 9)], [(20.0, 3), (None, 3)]) == [
        (10.0, 5),
        (20.0, 6),
        (None, 6),
    ]


def test_totals_that_shrink_have_begun_again() -> None:
    before = Traffic(at="", slots={"main": Counters(requests=10)})
    after = Traffic(at="", slots={"main": Counters(requests=3)})
    assert began_again(after, before, "main", "second")
    assert not began_again(before, after, "main", "second")
    grown = difference(Counters(requests=10, errors=2), Counters(requests=4, errors=1))
    assert (grown.requests, grown.errors) == (6, 1)
