"""The native control plane's client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from draas.client.answers import Response, decoded, is_id, read, salvaged, whole
from draas.client.http import MAXIMUM_LIST, HttpClient
from draas.client.port import Capabilities, Desired, FleetStates, GarbageError, Order, RefusedError
from draas.client.slots import NativeSlots, ordered
from draas.contract import routes
from draas.contract.feed import Changes
from draas.model.instance import InstanceState, compact

SLICE = 256
"""So many states are decoded at a time."""
MAXIMUM_CHANGES = 32 * 1024 * 1024

_STATE = msgspec.json.Decoder(InstanceState)
_CHANGES = msgspec.json.Decoder(Changes)


class _RawStates(msgspec.Struct):
    epoch: str
    cursor: str
    instances: list[msgspec.Raw]


_STATES = msgspec.json.Decoder(_RawStates)


class NativeControlPlane(NativeSlots):
    """`draas.client.port.ControlPlane` over this project's own API (docs/api.md)."""

    def __init__(self, http: HttpClient, base: str = routes.SERVERS) -> None:
        super().__init__(http, Capabilities(native=True, base=base))

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """One request, 304 when nothing changed; one unreadable instance spoils no other."""
        path = self.capabilities.base + routes.INSTANCES
        headers = {"If-None-Match": etag} if etag else {}
        answer = await self._http.request(
            "GET", path, params={"view": "state"}, headers=headers, maximum=MAXIMUM_LIST
        )
        if answer.status == 304:
            return None
        return await _fleet(answer)

    async def changes(self, after: str, wait: float) -> Changes:
        """A long poll; the call's own deadline is `wait` and ten seconds.

        Where a change cannot be read there is a gap: a list makes up for it.
        """
        params = {"after": after, "wait": f"{wait:g}"}
        answer = await self._http.request(
            "GET", routes.CHANGES, params=params, within=wait + 10, maximum=MAXIMUM_CHANGES
        )
        try:
            found = decoded(_CHANGES, answer)
            for each in found.changes:
                if each.state is not None:
                    _sensible(each.state)
            return found
        except GarbageError:
            rest, _ = _taken_apart(answer, "changes")
        return msgspec.structs.replace(read(_CHANGES, rest), gap=True)

    async def state(self, instance_id: str) -> InstanceState | None:
        """The instance's state; 404 of that instance, and nothing else, means that it is gone."""
        try:
            answer = await self._http.request("GET", self._instance(instance_id))
        except RefusedError as error:
            if error.kind == "instance-not-found":
                return None
            raise
        return _sensible(decoded(_STATE, answer))

    async def desired(self, instance_id: str) -> Desired:
        """The desired configuration with its generation and digest."""
        return _configuration(await self._http.request("GET", routes.configuration(instance_id)))

    async def last_good(self, instance_id: str) -> Desired | None:
        """The last good configuration."""
        path = routes.configuration(instance_id, "last-good")
        try:
            return _configuration(await self._http.request("GET", path))
        except RefusedError as error:
            if error.kind == "no-last-good":
                return None
            raise

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """A configuration of the history."""
        path = routes.configuration(instance_id, f"history/{generation}")
        try:
            document = (await self._http.request("GET", path)).json()
        except RefusedError as error:
            if error.kind == "generation-not-found":
                return None
            raise
        if not isinstance(document, dict):
            raise GarbageError("the configuration is not an object")
        return document

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """What the server reports now, secrets masked."""
        answer = await self._http.request("GET", self._instance(instance_id, "observed"))
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("configuration"), dict):
            raise GarbageError("the observed configuration is not an object")
        observed: dict[str, Any] = body["configuration"]
        return observed

    async def start(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Start with the document."""
        await self._lifecycle(instance_id, "start", document, order, within)

    async def stop(self, instance_id: str, order: Order, within: float) -> bool:
        """Stop; whether something ran."""
        answer = await self._lifecycle(instance_id, "stop", None, order, within)
        body = answer.json()
        return bool(body.get("changed", True)) if isinstance(body, dict) else True

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """Change in place to the document."""
        await self._lifecycle(instance_id, "apply", document, order, within)

    async def _lifecycle(
        self,
        instance_id: str,
        action: str,
        document: Mapping[str, Any] | None,
        order: Order,
        within: float,
    ) -> Response:
        return await self._http.request(
            "POST",
            self._instance(instance_id, action),
            body=document,
            params={"keepDesiredRunState": "true"},
            headers=ordered(order),
            within=within,
        )


async def _fleet(answer: Response) -> FleetStates:
    """The list, decoded slice by slice: others get a turn meanwhile."""
    raw = _raw_states(answer)
    states: list[InstanceState] = []
    unreadable: dict[str, str] = {}
    for number, each in enumerate(raw.instances, 1):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        try:
            states.append(compact(_sensible(read(_STATE, each))))
        except GarbageError as error:
            unreadable[_id_of(each)] = str(error)
    return FleetStates(tuple(states), raw.cursor, answer.etag, unreadable)


def _raw_states(answer: Response) -> _RawStates:
    try:
        return decoded(_STATES, answer)
    except GarbageError:
        rest, states = _taken_apart(answer, "instances")
    head = read(_STATES, rest)
    return _RawStates(head.epoch, head.cursor, states)


def _taken_apart(answer: Response, part: str) -> tuple[bytes, list[msgspec.Raw]]:
    """The answer without its list `part`, and each thing of that list on its own.

    Raises:
        GarbageError: it has no such list.
    """
    found = salvaged(answer.body)
    if not isinstance(found, dict) or not isinstance(found.get(part), list):
        raise GarbageError(f"the answer has no list of {part}")
    listed = [msgspec.Raw(json.dumps(each).encode()) for each in found[part]]
    return json.dumps({**found, part: []}).encode(), listed


def _sensible(state: InstanceState) -> InstanceState:
    """The state, if no store or path stumbles over it.

    Raises:
        GarbageError: one would.
    """
    if not is_id(state.id):
        raise GarbageError("the answer makes no sense: nothing can be named by its id")
    numbers = (state.generation, state.applied_generation, state.last_good_generation)
    if any(each is not None and not 0 <= each <= routes.LARGEST_FENCE for each in numbers):
        raise GarbageError("the answer makes no sense: a generation is no count")
    return state


def _id_of(raw: msgspec.Raw) -> str:
    value = salvaged(bytes(raw))
    found = value.get("id") if isinstance(value, dict) else None
    return found if is_id(found) else "?"


def _configuration(answer: Response) -> Desired:
    document = answer.json()
    if not isinstance(document, dict):
        raise GarbageError("the configuration is not an object")
    generation, digest = answer.headers.get(routes.GENERATION), answer.headers.get(routes.DIGEST)
    number = whole(generation or "")
    if number is None or number < 0 or not (digest and digest.isascii() and digest.isprintable()):
        raise GarbageError("the configuration came without its generation and digest")
    return Desired(document, digest, number)
