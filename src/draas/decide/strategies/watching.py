"""One look at a candidate, and what it comes to: on, back, or once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from draas.decide.analysis import (
    AnalysisRules,
    Compared,
    analyse,
    began_again,
    difference,
    gathered,
)
from draas.decide.commands import ErrorClass, Result
from draas.decide.parity import differences, parity
from draas.decide.rules import Rules
from draas.model.operation import Judgement, Operation, Phase, Verdict, Watch
from draas.model.slots import Traffic

Verdicts = tuple[Verdict, str, Operation]
"""What a look comes to, why, and the operation that remembers it."""
COMPARED_EVERY = timedelta(seconds=30)
"""How often rows that were the same are compared again: changes have to wait while they are, and
the more of them wait, the less the latency of a step tells."""
_WRONG = (ErrorClass.NOT_YET, ErrorClass.ALTERED)
Look = Callable[[Operation, Result, Rules, datetime], Verdicts]


def comparison_due(operation: Operation, now: datetime) -> bool:
    """Whether a look is to compare the rows of both slots: at once, and again after a while.

    What was not found the same is compared at each look. A step in which the candidate has all of
    the traffic begins as one that was compared: its latency is held against another time, in which
    nothing waited.
    """
    last = operation.watch.compared_at
    return last is None or now - last >= COMPARED_EVERY


def rows_differ(operation: Operation) -> bool:
    """Whether the last look found other rows, which a few more looks are to confirm."""
    return operation.watch.compared_at is None and operation.watch.bad_looks > 0


def proved(operation: Operation, result: Result, rules: Rules, now: datetime) -> Verdicts:
    """Healthy on end for its minimum time, as its target and with the same rows, passes.

    What is wrong until the time is over fails, and what nobody can tell then is held as it is.
    """
    why, rows = result.error, _parity(result, rules)
    compared_at = _compared_at(operation, result, rows, now)
    watch = replace(operation.watch, checks=result.checks, compared_at=compared_at)
    if operation.promoted and rows.verdict is Verdict.INCONCLUSIVE:
        rows = Judgement(Verdict.PASS)
    late = now >= operation.phase_since + rules.health_timeout + rules.minimum_healthy_time
    if result.ok and rows.verdict is Verdict.PASS:
        watch = replace(watch, good_since=watch.good_since or now, bad_looks=0, judgement=None)
        seen = replace(operation, watch=watch, inconclusive="")
        assert watch.good_since is not None
        healthy_for = now - watch.good_since
        enough = healthy_for >= rules.minimum_healthy_time
        return (Verdict.PASS if enough else Verdict.INCONCLUSIVE), "", seen
    bad = watch.bad_looks + 1 if result.ok and rows.verdict is Verdict.FAIL else 0
    watch = replace(watch, good_since=None, bad_looks=bad, judgement=rows if result.ok else None)
    seen = replace(operation, watch=watch)
    if bad >= rules.health_failure_threshold:
        return Verdict.FAIL, _said(rows), _with_rows(seen, result)
    if result.ok:
        why = _said(rows)
    if late and result.error_class in _WRONG:
        return Verdict.FAIL, why, seen
    if late and bad == 0:
        seen = replace(seen, inconclusive=why)
    return Verdict.INCONCLUSIVE, why, seen


def watched(operation: Operation, result: Result, rules: Rules, now: datetime) -> Verdicts:
    """The candidate with traffic, judged on what it was sent since its step began.

    Without data it is held, for as long as data come in slowly and after that until a person says
    something; a soak, which a slot spends in service, is over after its time whatever the traffic.
    """
    if result.error_class in _WRONG:
        counted = result.traffic.slots.get(operation.slot) if result.traffic else None
        if counted is not None and not counted.healthy:
            return Verdict.FAIL, result.error, operation
        return _bad(operation, result, result.error, rules)
    if not result.ok or result.traffic is None:
        return _without_data(operation, result.error or "no counters", rules, now)
    traffic, baseline, last = result.traffic, operation.baseline, operation.watch.seen
    names = (operation.slot, operation.served_by)
    if baseline is None or last is None or began_again(traffic, last, *names):
        anew = replace(operation, baseline=traffic, watch=Watch(seen=traffic, grew_at=now))
        return _without_data(anew, "the counters began again", rules, now)
    evidence = gathered(operation.watch.evidence, baseline, last, traffic, *names)
    judgement, sure = analyse(
        _compared(operation, baseline, traffic, evidence, rules, now), rules.analysis
    )
    rows = _parity(result, rules)
    if judgement.verdict is not Verdict.FAIL and rows.verdict is not Verdict.PASS:
        judgement, sure = replace(judgement, verdict=rows.verdict, reasons=rows.reasons), False
    grew = judgement.samples > operation.watch.samples
    watch = replace(
        operation.watch,
        seen=traffic,
        samples=judgement.samples,
        grew_at=now if grew or operation.paused else operation.watch.grew_at or now,
        evidence=evidence,
        checks=result.checks,
        judgement=judgement,
        compared_at=_compared_at(operation, result, rows, now),
    )
    seen = replace(operation, watch=watch)
    if judgement.verdict is Verdict.FAIL and sure:
        return Verdict.FAIL, _said(judgement), seen
    if judgement.verdict is Verdict.FAIL:
        return _bad(seen, result, _said(judgement), rules)
    seen = replace(seen, watch=replace(watch, bad_looks=0))
    if _is_over(seen, judgement, rules, now):
        return Verdict.PASS, "", _with_reference(seen, baseline, traffic, rules.analysis)
    return _held(seen, _said(judgement), rules, now)


def weight(operation: Operation, rules: Rules) -> int:
    """The candidate's share of the traffic in the step under way, in percent."""
    return rules.canary_steps[min(operation.step, len(rules.canary_steps) - 1)]


def _compared(
    operation: Operation,
    baseline: Traffic,
    traffic: Traffic,
    evidence: float,
    rules: Rules,
    now: datetime,
) -> Compared:
    mine, other = operation.slot, operation.served_by
    soaks = operation.phase is Phase.SOAKING
    return Compared(
        candidate=difference(traffic.slots.get(mine), baseline.slots.get(mine)),
        serving=difference(traffic.slots.get(other), baseline.slots.get(other)),
        weight=100 if soaks else weight(operation, rules),
        reference=operation.reference,
        evidence=evidence,
        elapsed=now - operation.phase_since,
    )


def _is_over(operation: Operation, judgement: Judgement, rules: Rules, now: datetime) -> bool:
    if operation.promoted:
        return True
    if operation.phase is Phase.SOAKING:
        return now - operation.phase_since >= rules.soak_time
    return judgement.verdict is Verdict.PASS


def _with_reference(
    operation: Operation, baseline: Traffic, traffic: Traffic, rules: AnalysisRules
) -> Operation:
    """Remember how the serving slot did, for steps in which it has too little traffic."""
    name = operation.served_by
    beside = difference(traffic.slots.get(name), baseline.slots.get(name))
    enough = beside.requests >= rules.minimum_samples
    return replace(operation, reference=beside) if enough else operation


def _without_data(operation: Operation, why: str, rules: Rules, now: datetime) -> Verdicts:
    judgement = Judgement(Verdict.INCONCLUSIVE, (why,), operation.watch.samples)
    watch = replace(operation.watch, judgement=judgement, grew_at=operation.watch.grew_at or now)
    if operation.paused:
        watch = replace(watch, grew_at=now)
    return _held(replace(operation, watch=watch), why, rules, now)


def _held(operation: Operation, why: str, rules: Rules, now: datetime) -> Verdicts:
    """The deadline is of progress: it is over when no data came for its time."""
    grew_at = operation.watch.grew_at or now
    waited = now - grew_at
    stuck = waited >= rules.analysis.deadline and operation.phase is not Phase.SOAKING
    return Verdict.INCONCLUSIVE, why, replace(operation, inconclusive=why if stuck else "")


def _bad(operation: Operation, result: Result, why: str, rules: Rules) -> Verdicts:
    """A bad look that may be chance: as many in a row as the threshold says fail."""
    looks = operation.watch.bad_looks + 1
    checks = result.checks or operation.watch.checks
    seen = replace(operation, watch=replace(operation.watch, bad_looks=looks, checks=checks))
    if looks < rules.health_failure_threshold:
        return Verdict.INCONCLUSIVE, why, seen
    return Verdict.FAIL, why, _with_rows(seen, result)


def _parity(result: Result, rules: Rules) -> Judgement:
    if not rules.analysis.parity or result.parity is None:
        return Judgement(Verdict.PASS)
    return parity(result.parity)


def _compared_at(
    operation: Operation, result: Result, rows: Judgement, now: datetime
) -> datetime | None:
    if result.parity is None:
        return operation.watch.compared_at
    return now if rows.verdict is Verdict.PASS else None


def _with_rows(operation: Operation, result: Result) -> Operation:
    """The operation with the rows that differ among its differences, for the audit."""
    if result.parity is None:
        return operation
    return replace(operation, differences=(*operation.differences, *differences(result.parity)))


def _said(judgement: Judgement) -> str:
    return "; ".join(judgement.reasons)
