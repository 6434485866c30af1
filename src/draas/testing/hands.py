"""What people of a simulated world ask of its daemons: to release, approve, promote, abort."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from draas.decide.approval import APPROVAL
from draas.model.operation import Wish
from draas.model.reconciliation import Approval, Operation, Phase, Trigger
from draas.reconciliation.by_hand import NotNowError
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.request import Request
from draas.reconciliation.store import LeaseLostError, StoreError
from draas.testing.member import Member
from draas.testing.people import RETRY_SECONDS

SOMEBODY = "somebody"
AGREED_FOR = timedelta(hours=1)


class Hands:
    """Asks whichever daemons are there, as their management API does; they may die meanwhile.

    `aborted` is told of each operation that a person had taken back.
    """

    def __init__(
        self, members: Callable[[], list[Member]], aborted: Callable[[Operation], None]
    ) -> None:
        self._members = members
        self._aborted = aborted
        self._tasks: list[asyncio.Task[None]] = []

    def act(self, kind: str, name: str) -> None:
        """Have an instance's operation taken in hand, or what is held let go."""
        match kind:
            case "release":
                self._ask(name, _released)
            case "approve":
                self._ask(name, _approved)
            case _:
                self._ask(name, lambda daemon, name: self._taken(daemon, name, Wish(kind)))

    def help(self, names: tuple[str, ...]) -> None:
        """Let all go on that waits for people."""
        for member in self._members():
            if member.daemon.breaker.state.open_since is not None:
                member.daemon.breaker.release()
        for name in names:
            self._ask(name, _approved)
            self._ask(name, _resumed)
            self._ask(name, _hurried)

    def _ask(self, name: str, act: Callable[[Daemon, str], Awaitable[bool]]) -> None:
        for member in self._members():
            if not (member.process.dead or member.process.frozen):
                self._tasks.append(member.process.spawn(_insisted(member.daemon, name, act)))

    async def _taken(self, daemon: Daemon, name: str, wish: Wish) -> bool:
        operation = await _taken(daemon, name, wish)
        if operation is not None and wish is Wish.ABORT:
            self._aborted(operation)
        return operation is not None


async def _insisted(
    daemon: Daemon, name: str, act: Callable[[Daemon, str], Awaitable[bool]]
) -> None:
    """Who is told that the store failed asks again."""
    if daemon.reconciler is None or daemon.workers is None:
        return
    while True:
        try:
            acted = await act(daemon, name)
        except LeaseLostError:
            return
        except StoreError:
            await asyncio.sleep(RETRY_SECONDS)
        else:
            break
    if acted:
        daemon.workers.ask(name, Request(Trigger.MANUAL, SOMEBODY))


async def _released(daemon: Daemon, name: str) -> bool:
    return await daemon.by_hand.release(name, SOMEBODY)


async def _approved(daemon: Daemon, name: str) -> bool:
    plan = daemon.fleet.plans.get(name)
    gate = plan.blocked_by if plan else None
    if plan is None or gate is None or gate.name != APPROVAL:
        return False
    now = daemon.clock.now()
    approval = Approval(
        plan_digest=plan.digest, granted=True, actor=SOMEBODY, at=now, until=now + AGREED_FOR
    )
    await daemon.by_hand.judge(name, approval)
    return True


async def _resumed(daemon: Daemon, name: str) -> bool:
    operation = daemon.journal.open.get(name)
    if operation is None or not operation.paused:
        return False
    return await _taken(daemon, name, Wish.RESUME) is not None


async def _hurried(daemon: Daemon, name: str) -> bool:
    """What runs already is no better and no worse than itself, which takes long to be shown."""
    operation = daemon.journal.open.get(name)
    if operation is None or operation.phase is not Phase.ANALYSING:
        return False
    if operation.target_digest != operation.previous_digest:
        return False
    return await _taken(daemon, name, Wish.PROMOTE) is not None


async def _taken(daemon: Daemon, name: str, wish: Wish) -> Operation | None:
    try:
        return await daemon.by_hand.take_in_hand(name, wish, SOMEBODY, "")
    except NotNowError:
        return None
