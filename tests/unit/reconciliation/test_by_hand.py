"""What people decide about one instance at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from draas.model.reconciliation import Approval
from draas.reconciliation.by_hand import ByHand, NotNowError
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.journal import Journal
from draas.testing.virtual_time import VirtualClock
from tests.unit.reconciliation.test_journal import NAME, SHARD, SlowStore


def approval(clock: VirtualClock, actor: str, *, granted: bool = True) -> Approval:
    now = clock.now()
    until = now + timedelta(hours=1)
    return Approval(plan_digest="p", granted=granted, actor=actor, at=now, until=until)


async def test_of_two_who_approve_a_plan_at_once_one_has() -> None:
    store, fleet, clock = SlowStore(), Fleet(), VirtualClock()
    await store.take_over({SHARD: 1})
    by_hand = ByHand(Journal(store, fleet, lambda _: 1, clock, audit=True), fleet, clock)
    answers = await asyncio.gather(
        *(by_hand.judge(NAME, approval(clock, actor)) for actor in ("ann", "olga")),
        return_exceptions=True,
    )
    assert [type(each) for each in answers] == [type(None), NotNowError]
    agreed = fleet.memory(NAME).approval
    assert agreed is not None and agreed.actor == "ann"
    await by_hand.judge(NAME, approval(clock, "olga", granted=False))
    withdrawn = fleet.memory(NAME).approval
    assert withdrawn is not None and not withdrawn.granted
    lapsed = replace(approval(clock, "ann"), until=clock.now())
    await by_hand.judge(NAME, lapsed)
    await by_hand.judge(NAME, approval(clock, "olga"))
