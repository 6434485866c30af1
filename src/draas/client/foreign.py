"""A control plane with only the source document's endpoints, in either spelling (R-170, B-01).

It keeps no generations, applied digests or change feed. The daemon fills in what it sent itself,
and learns of changes by polling.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from draas.client.answers import LONGEST_DETAIL, Response, is_id
from draas.client.http import MAXIMUM_LIST, HttpClient
from draas.client.many import Answer, Question
from draas.client.port import (
    Capabilities,
    ControlPlaneError,
    Desired,
    FleetStates,
    GarbageError,
    Order,
    RefusedError,
)
from draas.client.recent_changes import RecentChange, RecentChanges, known_status
from draas.client.run_states import RunStates
from draas.client.slots import NoSlots
from draas.contract import routes
from draas.contract.feed import Change, Changes
from draas.model.configuration import ConfigurationError, digest
from draas.model.instance import InstanceState
from draas.model.status import InstanceStatus

MISSING = (
    "change feed (polled instead)",
    "observed configuration (manual changes of a server stay unseen)",
    "health",
    "configuration history (the last good one is what this daemon applied)",
)
NOTHING_TELLS = "recent changes (the periodic check alone finds a change)"
NOT_FOUND = (404, 405)
FAILED = 500
CHANGED = InstanceStatus.CONFIGURATION_CHANGED
DOWN = (InstanceStatus.CREATED, InstanceStatus.STOPPED, InstanceStatus.ERROR)
SLICE = 256
"""So many answers are taken in before others get a turn."""


class ForeignControlPlane(NoSlots):
    """`draas.client.port.ControlPlane` over the source document's endpoints alone.

    `tells_changes` is whether it has `recent-changes`.
    """

    def __init__(
        self, http: HttpClient, base: str, *, poll_interval: float, tells_changes: bool = True
    ) -> None:
        self._http = http
        self._poll_interval = poll_interval
        self._digests: dict[str, tuple[str | None, bytes, str]] = {}
        self._recent = RecentChanges(http) if tells_changes else None
        self._run_states = RunStates()
        missing = MISSING if tells_changes else (*MISSING, NOTHING_TELLS)
        self.capabilities = Capabilities(native=False, base=base, missing=missing)

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """The list and then each configuration; unchanged ones are not parsed again."""
        listed = await self._list()
        named = {each["id"]: each for each in listed if _has_id(each)}
        unreadable = {} if all(map(_has_id, listed)) else {"?": "an instance without a usable id"}
        answers = await self._http.get_all([self._question(instance_id) for instance_id in named])
        await self._tell_apart(named.values())
        states: list[InstanceState] = []
        for number, (instance_id, answer) in enumerate(zip(named, answers, strict=True), 1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            try:
                desired = self._digest(instance_id, answer)
                states.append(self._run_states.state(named[instance_id], desired))
            except ControlPlaneError as error:
                unreadable[instance_id] = str(error)
        self._digests = {s.id: self._digests[s.id] for s in states if s.id in self._digests}
        self._run_states.keep(named)
        return FleetStates(tuple(states), unreadable=unreadable)

    async def _list(self) -> list[Any]:
        """The list; where it is not found, the server may have another spelling by now."""
        try:
            return await list_at(self._http, self.capabilities.base)
        except RefusedError as error:
            if error.status not in NOT_FOUND:
                raise
            [other] = {routes.SERVERS, routes.SERVERS_ALIAS} - {self.capabilities.base}
            try:
                listed = await list_at(self._http, other)
            except ControlPlaneError:
                raise error from None
        self.capabilities = replace(self.capabilities, base=other)
        return listed

    async def changes(self, after: str, wait: float) -> Changes:
        """One poll of recent-changes; with nothing new, the poll interval is waited out first.

        Where nothing tells of changes there never are any; the list says that somebody is there.
        """
        if self._recent is None:
            await asyncio.sleep(min(self._poll_interval, wait))
            await self._list()
            return Changes(epoch="", cursor=after, gap=False, changes=[])
        fresh, cursor = await self._recent.after(after)
        if not fresh:
            await asyncio.sleep(min(self._poll_interval, wait))
        return Changes(epoch="", cursor=cursor, gap=False, changes=[_change(e) for e in fresh])

    async def state(self, instance_id: str) -> InstanceState | None:
        """The instance and its configuration's digest; gone where the list says so as well.

        A 404 alone may be of a wrong route, as the prototype gives it, or of a proxy.
        """
        try:
            answer = await self._http.request("GET", self._instance(instance_id))
        except RefusedError as error:
            if error.status not in NOT_FOUND:
                raise
            if all(_has_id(each) and each["id"] != instance_id for each in await self._list()):
                return None
            raise
        item = answer.json()
        if not isinstance(item, dict):
            raise GarbageError("the instance is not an object")
        await self._tell_apart([{**item, "id": instance_id}])
        [read] = await self._http.get_all([self._question(instance_id)])
        desired = self._digest(instance_id, read)
        return self._run_states.state({**item, "id": instance_id}, desired)

    async def _tell_apart(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Learn what runs of all whose status says instead that their configuration changed."""
        statuses = {each["id"]: known_status(each.get("status")) for each in items}
        changed = {name for name, status in statuses.items() if status is CHANGED}
        if changed and self._recent is not None:
            before = await self._recent.overwritten()
            self._run_states.learn({name: before[name] for name in changed & before.keys()})

    def _question(self, instance_id: str) -> Question:
        etag, _, _ = self._digests.get(instance_id, (None, b"", ""))
        return Question(routes.configuration(instance_id), etag)

    def _digest(self, instance_id: str, answer: Answer) -> str:
        """The digest of the desired configuration; the same bytes are not parsed twice.

        Raises:
            ControlPlaneError: the answer is one, or makes no sense.
        """
        if isinstance(answer, ControlPlaneError):
            raise answer
        _, raw_hash, known = self._digests.get(instance_id, (None, b"", ""))
        if answer.status == 304:
            return known
        fresh_hash = hashlib.sha256(answer.body).digest()
        value = known if fresh_hash == raw_hash else _desired(answer).digest
        self._digests[instance_id] = (answer.etag, fresh_hash, value)
        return value

    async def desired(self, instance_id: str) -> Desired:
        """The desired configuration."""
        return _desired(await self._http.request("GET", routes.configuration(instance_id)))

    async def last_good(self, instance_id: str) -> Desired | None:
        """Not kept by such a control plane; the daemon's own memory has it."""
        return None

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """Not kept by such a control plane."""
        return None

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """Not offered by such a control plane."""
        return None

    async def start(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Start with the document in the body (R-171)."""
        path = self._instance(instance_id, "start")
        await self._http.request("POST", path, body=document, within=within)

    async def stop(self, instance_id: str, order: Order, within: float) -> bool:
        """Stop; such a server answers 500 where nothing ran (B-04), which is as good as stopped.

        So it does after a crash, which its status does not tell.
        """
        state = await self.state(instance_id)
        if state is not None and state.status in DOWN:
            return False
        try:
            await self._http.request("POST", self._instance(instance_id, "stop"), within=within)
        except RefusedError as error:
            if error.status == FAILED and "not running" in error.detail.lower():
                return False
            raise
        return True

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Not offered by such a control plane."""
        raise RefusedError(409, "restart-needed", "this control plane cannot change in place")

    def _instance(self, instance_id: str, action: str = "") -> str:
        return routes.instance(instance_id, action, base=self.capabilities.base)


async def list_at(http: HttpClient, base: str) -> list[Any]:
    """The instances that a control plane lists under a spelling of its paths.

    Raises:
        ControlPlaneError: it does not, or not as an array.
    """
    answer = await http.request("GET", base + routes.INSTANCES, maximum=MAXIMUM_LIST)
    listed = answer.salvaged()
    if not isinstance(listed, list):
        raise GarbageError("the list of instances is not an array")
    return listed


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and is_id(item.get("id"))


def _change(recent: RecentChange) -> Change:
    kind = "ConfigurationChanged" if recent.new is CHANGED else "StatusChanged"
    return Change(sequence=0, kind=kind, instance_id=recent.instance_id, at=recent.at)


def _desired(answer: Response) -> Desired:
    document = answer.json()
    if not isinstance(document, dict):
        raise GarbageError("the configuration is not an object")
    try:
        return Desired(document, digest(document))
    except ConfigurationError as error:
        raise GarbageError(f"the configuration makes no sense: {error}"[:LONGEST_DETAIL]) from error
