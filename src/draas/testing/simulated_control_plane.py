"""A control plane with its servers in memory: quick, breakable, counting what is done to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.client.port import Capabilities, Desired, FleetStates, Order, RefusedError
from draas.contract.feed import MOST, Change, Changes, cursor, parse_cursor
from draas.decide.hot_apply import settings_changed
from draas.model.clock import timestamp
from draas.model.instance import InstanceState, OperationInFlight
from draas.testing.simulated_calls import Call, FirstAnswers
from draas.testing.simulated_servers import SimulatedServer
from draas.testing.simulated_slots import SimulatedSlots

EPOCH = "simulated"
LIFECYCLE = ("start", "stop", "apply")


@dataclass
class SimulatedControlPlane(SimulatedSlots):
    """`draas.client.port.ControlPlane` without a network, over instances in memory."""

    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(native=True, base="/api/servers")
    )
    answers: FirstAnswers = field(default_factory=FirstAnswers)
    obeys: Callable[[Call], None] = lambda _call: None
    """Told of each lifecycle call that is carried out."""

    def recover(self) -> None:
        """See the instances; calls that were under way are not."""
        self.answers.recover()
        super().recover()

    # What the daemon asks

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """All states."""
        self.reach()
        now = self.clock.monotonic()
        known = len(self._changes)
        while self.lag and known and self._changes[known - 1][2] > now - self.lag:
            known -= 1
        here = cursor(EPOCH, known)
        mark = f'"{here}+"'  # an ETag is no cursor
        if etag == mark:
            return None
        seen = [state for key in self.servers if (state := self._seen(key)) is not None]
        return FleetStates(tuple(seen), here, mark)

    async def changes(self, after: str, wait: float) -> Changes:
        """What happened since, or after a wait nothing."""
        self.reach()
        _, sequence = parse_cursor(after)
        if sequence >= len(self._changes):
            news = asyncio.get_running_loop().create_future()
            self._waiting.append(news)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await news
        self.reach()
        fresh = [
            Change(
                sequence=number,
                kind=kind,
                instance_id=key,
                at=timestamp(self.clock.now()),
                state=self._state(key) if key in self.servers else None,
            )
            for number, (key, kind, _) in enumerate(
                self._changes[sequence : sequence + MOST], sequence + 1
            )
        ]
        return Changes(EPOCH, cursor(EPOCH, sequence + len(fresh)), False, fresh)

    async def state(self, instance_id: str) -> InstanceState | None:
        """One state."""
        self.reach()
        return self._seen(instance_id)

    async def desired(self, instance_id: str) -> Desired:
        """The newest configuration."""
        server = self._server(instance_id)
        seen = self._seen(instance_id)
        known = len(server.history)
        return self._desired(server, min(seen.generation, known) if seen else known)

    async def last_good(self, instance_id: str) -> Desired | None:
        """The newest that ran well."""
        server = self._server(instance_id)
        return None if server.good is None else self._desired(server, server.good)

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """One of the history."""
        history = self._server(instance_id).history
        return history[generation - 1] if generation <= len(history) else None

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """Not told in detail here."""
        self.reach()
        return None

    async def start(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Run the document; fails for a digest in `failing`."""
        await self._order("start", instance_id, order, document)

    async def stop(self, instance_id: str, order: Order, within: float) -> bool:
        """End what runs."""
        stopped: bool = await self._order("stop", instance_id, order)
        return stopped

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Change what runs in place; not its own settings, and to nothing in `failing`."""
        await self._order("apply", instance_id, order, document)

    async def call(self, call: Call, key: str | None = None) -> Any:
        """Do what a lifecycle call asks for; once for all that come with the same key."""
        self._server(call.instance_id)
        acts: dict[str, Callable[[Call], Awaitable[Any]]] = {
            "start": self._start,
            "stop": self._stop,
            "apply": self._apply,
        }
        act = acts.get(call.kind, self._act_on_slots)
        if key is None:
            return await act(call)
        return await self.answers.give(call.instance_id, key, call.fingerprint, lambda: act(call))

    # Inside

    async def _order(
        self,
        kind: str,
        instance_id: str,
        order: Order,
        document: Mapping[str, Any] | None = None,
    ) -> Any:
        return await self.call(
            Call(kind, instance_id, order.operation_id, order.fence, document or {}), order.key
        )

    async def _start(self, call: Call) -> None:
        server = self._taken(call)
        if call.fence is not None and not server.wanted:
            raise RefusedError(409, "stopped-by-user", "its user stopped it")
        wanted = self.digests.whole(call.document)
        if server.running is not None:
            if self.digests.whole(server.running) == wanted:
                return
            raise RefusedError(409, "instance-running", "it runs another configuration")
        self.begun.append(call.instance_id)
        self.slotted.pop(call.instance_id, None)
        async with self._holding(call, server):
            await asyncio.sleep(self.start_seconds)
            self.reach()
            self._done(call)
            server.starts += 1
            failure = self.failing.get(wanted)
            if failure:
                server.status, server.reason = "Error", failure
                raise RefusedError(500, "start-failed", failure)
            self._run(call.instance_id, server, dict(call.document))

    async def _act_on_slots(self, call: Call) -> Any:
        server = self._taken(call)
        self.require_served(call, server)
        async with self._holding(call, server):
            return await self.act_on_slots(call, server)

    async def _stop(self, call: Call) -> bool:
        server = self._taken(call)
        self.slotted.pop(call.instance_id, None)
        ran = server.running is not None
        async with self._holding(call, server):
            self._done(call)
            self._end(server)
        return ran

    async def _apply(self, call: Call) -> None:
        server = self._taken(call)
        if server.running is None:
            raise RefusedError(409, "instance-not-running", "nothing runs")
        if settings_changed(server.running, call.document):
            raise RefusedError(409, "restart-needed", "a setting of the server changed")
        async with self._holding(call, server):
            self._done(call)
            if failure := self.failing.get(self.digests.whole(call.document)):
                raise RefusedError(500, "hot-apply-failed", failure)
            self._run(call.instance_id, server, dict(call.document))

    def _done(self, call: Call) -> None:
        self.log.append((call.kind, call.instance_id))

    def _taken(self, call: Call) -> SimulatedServer:
        """The server, if it is free for this call; from now on no older fence is."""
        server = self._server(call.instance_id)
        if call.instance_id in self.refusals:
            raise self.refusals[call.instance_id]
        self.check_fence(call, server.fence)
        self._free(call.instance_id, server)
        server.fence = max(server.fence, call.fence or 0)
        self.obeys(call)
        return server

    def check_fence(self, call: Call, highest: int) -> None:
        """Refuse who was taken over; a call without a fence is a person's.

        Raises:
            RefusedError: a newer fence came before (stale-fence).
        """
        if call.fence is not None and call.fence < highest:
            members = {"fence": call.fence, "highest": highest}
            why = f"fence {call.fence} is older than {highest}"
            raise RefusedError(409, "stale-fence", why, members)

    @contextlib.asynccontextmanager
    async def _holding(self, call: Call, server: SimulatedServer) -> AsyncIterator[None]:
        at = timestamp(self.clock.now())
        server.operation = OperationInFlight(call.kind, call.operation_id, "", at, call.fence)
        if call.kind == "start":
            server.status = "Starting"
            self._tell(call.instance_id, "StatusChanged")
        before = self._slots_told(call.instance_id)
        try:
            yield
        finally:
            server.operation = None
            if server.status == "Starting":
                server.status = "Error"
            if self._seen_fallen(server) or call.kind in LIFECYCLE:
                self._tell(call.instance_id, "StatusChanged")
            elif self._slots_told(call.instance_id) != before:
                self._tell(call.instance_id, "SlotsChanged")

    def _server(self, instance_id: str) -> SimulatedServer:
        self.reach()
        server = self.servers.get(instance_id)
        if server is None:
            raise RefusedError(404, "instance-not-found", f"there is no instance {instance_id!r}")
        return server

    def _seen(self, instance_id: str) -> InstanceState | None:
        """The state as it is read, which may be an old one."""
        server = self.servers.get(instance_id)
        if server is None:
            return None
        if not self.lag:
            return self._state(instance_id)
        limit = self.clock.monotonic() - self.lag
        seen = [state for at, state in server.past if at <= limit]
        return seen[-1] if seen else server.past[0][1]

    def _desired(self, server: SimulatedServer, generation: int) -> Desired:
        document = server.history[generation - 1]
        return Desired(dict(document), self.digests.whole(document), generation)
