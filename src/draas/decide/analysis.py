"""The verdict on a candidate, from what the router counted of it and of the slot beside it.

At once it fails that the router calls dead, for which others had to answer, or that missed a change
sent to all: failover and retries must not hide it. Then come, over the time of the step,

- errors: more frequent than in the serving slot, at level `alpha` of a step (`sequential.worse`);
- latency: its quantile is at most `maximum_latency_ratio` times that of the serving slot, and the
  slack; that is to say that no more than the share beyond the quantile takes longer than that;
- throughput: it answers a quarter of its share of the requests at least.

It passes once the step took its time, the samples are enough, and errors are shown to be rarer than
in the serving slot plus `maximum_error_rate`, at level `beta`, that slot's own rate taken as it was
seen. Anything else is inconclusive: no data is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import log

from draas.decide import latency
from draas.decide.sequential import Sample, above, below, worse
from draas.model.operation import Judgement, Verdict
from draas.model.slots import Counters, Traffic

NOTHING = Counters()
RETRIES = 2
"""So many requests of a step may have been answered by the other slot for it, by chance."""
SMALLEST_SHARE = 4
"""What answers less than this fraction of its share does not keep up."""
LARGEST_LIMIT = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRules:
    """When a candidate is as good as what serves; see the module."""

    minimum_samples: int = 50
    maximum_error_rate: float = 0.05
    latency_quantile: float = 0.95
    maximum_latency_ratio: float = 1.5
    latency_slack: timedelta = timedelta(milliseconds=5)
    alpha: float = 0.01
    beta: float = 0.05
    step_time: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(minutes=5)
    parity: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What is judged: the counters of a candidate and of the slot beside it, since a step began.

    `weight` is the candidate's share in percent. `reference` is how the serving slot did before,
    for steps in which it has too little traffic; `evidence` what `gathered` has added up.
    """

    candidate: Counters
    serving: Counters
    weight: int
    reference: Counters | None = None
    evidence: float = 0.0
    elapsed: timedelta = timedelta()


def difference(now: Counters | None, before: Counters | None) -> Counters:
    """What was counted since; health and what is in flight are those of now."""
    now, before = now or NOTHING, before or NOTHING
    return Counters(
        requests=now.requests - before.requests,
        errors=now.errors - before.errors,
        latency=latency.since(now.latency, before.latency),
        inflight=now.inflight,
        healthy=now.healthy,
        retries=now.retries - before.retries,
        mirror_failures=now.mirror_failures - before.mirror_failures,
    )


def began_again(now: Traffic, before: Traffic, *slots: str) -> bool:
    """Whether the totals were lost meanwhile, as by a router that died: they only ever grow."""
    pairs = [(now.slots.get(name, NOTHING), before.slots.get(name, NOTHING)) for name in slots]
    return any(each.requests < was.requests or each.errors < was.errors for each, was in pairs)


def gathered(
    evidence: float, baseline: Traffic, seen: Traffic, now: Traffic, candidate: str, serving: str
) -> float:
    """The evidence for errors with what came since the last look added."""
    pairs = [
        (
            _sample(difference(seen.slots.get(name), baseline.slots.get(name))),
            _sample(difference(now.slots.get(name), baseline.slots.get(name))),
        )
        for name in (candidate, serving)
    ]
    return evidence + worse(pairs[0], pairs[1])


def analyse(seen: Compared, rules: AnalysisRules) -> tuple[Judgement, bool]:
    """The verdict, and whether one look is enough for it: what may be chance is looked at again."""
    candidate = seen.candidate
    beside = seen.serving
    if beside.requests < rules.minimum_samples and seen.reference is not None:
        beside = seen.reference
    sure = [*_dead(candidate), *_errors(seen, beside, rules)]
    if sure:
        return _judged(Verdict.FAIL, sure, seen), True
    doubtful = [*_slow(candidate, beside, rules), *_idle(seen, rules)]
    if doubtful:
        return _judged(Verdict.FAIL, doubtful, seen), False
    missing = list(_missing(seen, beside, rules))
    return _judged(Verdict.INCONCLUSIVE if missing else Verdict.PASS, missing, seen), True


def _dead(candidate: Counters) -> list[str]:
    found = [] if candidate.healthy else ["the router finds it dead"]
    if candidate.retries > RETRIES:
        found.append(f"{candidate.retries} requests had to be answered by the other slot")
    if candidate.mirror_failures > 0:
        found.append(f"{candidate.mirror_failures} changes did not reach it")
    return found


def _errors(seen: Compared, beside: Counters, rules: AnalysisRules) -> list[str]:
    mine, other = _sample(seen.candidate), _sample(beside)
    certain = log(1 / rules.alpha)
    is_worse = seen.evidence >= certain
    limit = _limit(other, rules)
    if not is_worse and above(mine, limit) < certain:
        return []
    return [f"errors: {mine.errors} of {mine.requests}, beside {other.errors} of {other.requests}"]


def _slow(candidate: Counters, beside: Counters, rules: AnalysisRules) -> list[str]:
    share = rules.latency_quantile
    usual = latency.quantile(beside.latency, share)
    if usual is None or min(candidate.requests, beside.requests) < rules.minimum_samples:
        return []
    limit = usual * rules.maximum_latency_ratio + rules.latency_slack / timedelta(milliseconds=1)
    within = next((n for bound, n in candidate.latency if bound is None or bound >= limit), 0)
    total = candidate.latency[-1][1] if candidate.latency else 0
    if above(Sample(total, total - within), 1 - share) < log(1 / rules.alpha):
        return []
    own = latency.quantile(candidate.latency, share) or 0.0
    return [f"latency: {share:.0%} within {own:.0f} ms, beside {usual:.0f} ms"]


def _idle(seen: Compared, rules: AnalysisRules) -> list[str]:
    """It is sent its share and does not answer it."""
    mine, total = seen.candidate.requests, seen.candidate.requests + seen.serving.requests
    if not 0 < seen.weight < 100:
        return []
    least = seen.weight / 100 / SMALLEST_SHARE
    if below(Sample(total, mine), least) < log(1 / rules.alpha):
        return []
    return [f"throughput: {mine} of {total} requests, with {seen.weight} % of the traffic"]


def _missing(seen: Compared, beside: Counters, rules: AnalysisRules) -> list[str]:
    """What stands between this look and a pass."""
    mine = _sample(seen.candidate)
    if mine.requests < rules.minimum_samples:
        return [f"not enough data: {mine.requests} of {rules.minimum_samples} requests"]
    limit = _limit(_sample(beside), rules)
    if below(mine, limit) < log(1 / rules.beta):
        return [
            f"not enough data: errors below {limit:.1%} are not shown by {mine.errors} of "
            f"{mine.requests}"
        ]
    if seen.elapsed < rules.step_time:
        return [f"the step takes {rules.step_time.total_seconds():g} s at least"]
    return []


def _limit(beside: Sample, rules: AnalysisRules) -> float:
    return min(beside.rate + rules.maximum_error_rate, LARGEST_LIMIT)


def _sample(counters: Counters) -> Sample:
    return Sample(counters.requests, counters.errors)


def _judged(verdict: Verdict, reasons: list[str], seen: Compared) -> Judgement:
    return Judgement(verdict, tuple(reasons), seen.candidate.requests, seen.serving.requests)
