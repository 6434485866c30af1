"""What people decide about an instance: kept, told, and acted on by the next pass or step."""

from __future__ import annotations

from dataclasses import replace

from draas.decide.approval import is_in_force
from draas.decide.hand import refusal
from draas.model.clock import Clock
from draas.model.reconciliation import Approval, Hand, Memory, Operation, Trigger, Wish
from draas.reconciliation import record
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.journal import Journal


class NotNowError(Exception):
    """What a person asks for cannot be done now; the text says why."""


class ByHand:
    """Every call may raise StoreError, and LeaseLostError where others work on the instance."""

    def __init__(self, journal: Journal, fleet: Fleet, clock: Clock) -> None:
        self._journal = journal
        self._fleet = fleet
        self._clock = clock

    async def judge(self, instance_id: str, approval: Approval) -> None:
        """Keep what a person decided about a plan.

        Raises:
            NotNowError: somebody else has just agreed to it.
        """
        verdict = "Approved" if approval.granted else "Rejected"
        because = f": {approval.reason}" if approval.reason else ""
        entry = record.noted(
            instance_id,
            self._clock.now(),
            action=f"{verdict} the plan {approval.plan_digest}{because}",
            outcome=verdict.lower(),
            trigger=Trigger.MANUAL,
            actor=approval.actor,
            drift=self._fleet.drift(instance_id),
            state=self._fleet.states.get(instance_id),
        )

        def judged(known: Memory) -> Memory:
            agreed = is_in_force(known.approval, approval.plan_digest, approval.at)
            if agreed and approval.granted:
                raise NotNowError("somebody else has approved this plan just before")
            return replace(known, approval=approval)

        await self._journal.remember(instance_id, judged, entry)

    async def take_in_hand(
        self, instance_id: str, wish: Wish, actor: str, reason: str
    ) -> Operation:
        """Keep what a person asks of the operation under way; its next step obeys.

        Raises:
            NotNowError: nothing is under way that could do so now.
        """
        operation = self._journal.begun(instance_id)
        if operation is None:
            raise NotNowError("no operation is under way")
        why = refusal(operation, wish)
        if why:
            raise NotNowError(why)
        now = self._clock.now()
        hand = Hand(operation_id=operation.id, wish=wish, actor=actor, at=now, reason=reason)
        entry = record.in_hand(operation, hand, now)
        await self._journal.remember(instance_id, lambda known: replace(known, hand=hand), entry)
        return operation

    async def release(self, instance_id: str, actor: str) -> bool:
        """Lift the quarantines of an instance by a person's word; whether there were any."""
        quarantines = self._fleet.memory(instance_id).quarantines
        if not quarantines:
            return False
        entry = record.noted(
            instance_id,
            self._clock.now(),
            action="Released from quarantine: " + ", ".join(held.digest for held in quarantines),
            outcome="released",
            trigger=Trigger.MANUAL,
            actor=actor,
            drift=self._fleet.drift(instance_id),
            state=self._fleet.states.get(instance_id),
        )

        def released(known: Memory) -> Memory:
            kept = tuple(each for each in known.quarantines if each not in quarantines)
            return replace(
                known, quarantines=kept, failures=0, not_before=None, held_audited="", repairs=0
            )

        await self._journal.remember(instance_id, released, entry)
        return True
