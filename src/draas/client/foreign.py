"""A control plane with only the source document's endpoints, in either spelling (R-170, B-01).

It keeps no generations, applied digests or change feed. The daemon fills in what it sent itself,
and learns of changes by polling.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from draas.client.answers import Response
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
from draas.client.slots import NoSlots
from draas.contract import routes
from draas.contract.feed import Change, Changes
from draas.model.configuration import ConfigurationError, digest
from draas.model.instance import InstanceState
from draas.model.status import InstanceStatus, RunState

MISSING = (
    "change feed (polled instead)",
    "observed configuration (manual changes of a server stay unseen)",
    "health",
    "configuration history (the last good one is what this daemon applied)",
)
NOT_FOUND = 404
SLICE = 256
"""So many answers are taken in before others get a turn."""


class ForeignControlPlane(NoSlots):
    """`draas.client.port.ControlPlane` over the source document's endpoints alone."""

    def __init__(self, http: HttpClient, base: str, *, poll_interval: float) -> None:
        self._http = http
        self._poll_interval = poll_interval
        self._digests: dict[str, tuple[str | None, bytes, str]] = {}
        self._reported: set[tuple[str, str, str]] = set()
        self.capabilities = Capabilities(native=False, base=base, missing=MISSING)

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """The list and then each configuration; unchanged ones are not parsed again."""
        listed = await self._list()
        named = {each["id"]: each for each in listed if _has_id(each)}
        unreadable = {} if all(map(_has_id, listed)) else {"?": "an instance without an id"}
        answers = await self._http.get_all([self._question(instance_id) for instance_id in named])
        states: list[InstanceState] = []
        for number, (instance_id, answer) in enumerate(zip(named, answers, strict=True), 1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            try:
                states.append(_state(named[instance_id], self._digest(instance_id, answer)))
            except ControlPlaneError as error:
                unreadable[instance_id] = str(error)
        self._digests = {s.id: self._digests[s.id] for s in states if s.id in self._digests}
        return FleetStates(tuple(states), unreadable=unreadable)

    async def _list(self) -> list[Any]:
        path = self.capabilities.base + routes.INSTANCES
        listed = (await self._http.request("GET", path, maximum=MAXIMUM_LIST)).json()
        if not isinstance(listed, list):
            raise GarbageError("the list of instances is not an array")
        return listed

    async def changes(self, after: str, wait: float) -> Changes:
        """One poll of recent-changes; with nothing new, the poll interval is waited out first.

        The cursor is the newest timestamp that the server itself gave (B-32, B-34).
        """
        params = {"since": after} if after else {}
        answer = await self._http.request("GET", routes.RECENT_CHANGES, params=params)
        body = answer.json()
        if not isinstance(body, list):
            raise GarbageError("the recent changes are not an array")
        fresh = [item for item in body if isinstance(item, dict) and self._is_new(item)]
        newest = max((str(item.get("timestamp", "")) for item in fresh), default=after)
        if not fresh:
            await asyncio.sleep(min(self._poll_interval, wait))
        changes = [
            Change(
                sequence=0,
                kind="ConfigurationChanged"
                if InstanceStatus.parse_or_unknown(item.get("newStatus"))
                is InstanceStatus.CONFIGURATION_CHANGED
                else "StatusChanged",
                instance_id=str(item.get("instanceId", "")),
                at=str(item.get("timestamp", "")),
            )
            for item in fresh
        ]
        self._reported = {key for key in self._reported if key[1] >= newest}
        return Changes(epoch="", cursor=newest, gap=False, changes=changes)

    def _is_new(self, item: Mapping[str, Any]) -> bool:
        key = (str(item.get("instanceId")), str(item.get("timestamp")), str(item.get("newStatus")))
        if key in self._reported:
            return False
        self._reported.add(key)
        return True

    async def state(self, instance_id: str) -> InstanceState | None:
        """The instance and its configuration's digest; gone where the list says so as well.

        A 404 alone may be of a wrong route, as the prototype gives it, or of a proxy.
        """
        try:
            answer = await self._http.request("GET", self._instance(instance_id))
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            if all(_has_id(each) and each["id"] != instance_id for each in await self._list()):
                return None
            raise
        item = answer.json()
        if not isinstance(item, dict):
            raise GarbageError("the instance is not an object")
        [read] = await self._http.get_all([self._question(instance_id)])
        return _state({**item, "id": instance_id}, self._digest(instance_id, read))

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
        self._digests[instance_id] = (answer.headers.get("ETag"), fresh_hash, value)
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
        """Stop; such a server answers 500 where nothing ran (B-04), which is as good as stopped."""
        state = await self.state(instance_id)
        if state is not None and state.status != InstanceStatus.RUNNING:
            return False
        await self._http.request("POST", self._instance(instance_id, "stop"), within=within)
        return True

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Not offered by such a control plane."""
        raise RefusedError(409, "restart-needed", "this control plane cannot change in place")

    def _instance(self, instance_id: str, action: str = "") -> str:
        return routes.instance(instance_id, action, base=self.capabilities.base)


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)


def _state(item: Mapping[str, Any], desired_digest: str) -> InstanceState:
    status = InstanceStatus.parse_or_unknown(item.get("status"))
    if status is InstanceStatus.CONFIGURATION_CHANGED:
        status = InstanceStatus.RUNNING
    wanted = status in (InstanceStatus.RUNNING, InstanceStatus.ERROR)
    return InstanceState(
        id=item["id"],
        generation=0,
        desired_digest=desired_digest,
        desired_run_state=(RunState.RUNNING if wanted else RunState.STOPPED).value,
        status=status.value,
    )


def _desired(answer: Response) -> Desired:
    document = answer.json()
    if not isinstance(document, dict):
        raise GarbageError("the configuration is not an object")
    try:
        return Desired(document, digest(document))
    except ConfigurationError as error:
        raise GarbageError(f"the configuration makes no sense: {error}") from error
