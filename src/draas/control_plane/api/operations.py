"""What each operation of the API takes and answers, for its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from draas.contract import routes
from draas.contract.bodies import JSON, MERGE_PATCH, PATCH
from draas.control_plane.api import shapes
from draas.control_plane.api.shapes import Shape, array, ref

IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
_ORDER = (routes.IDEMPOTENCY_KEY,)
_SAID = (JSON, "text/plain")
"""A lifecycle call also answers the prototype's sentence."""


class Body(NamedTuple):
    """What is sent; `needed` is false where nothing may be sent as well."""

    shape: Shape
    types: tuple[str, ...] = (JSON,)
    needed: bool = True


class Operation(NamedTuple):
    """The answer (`None`: it is empty), the body, and names of query parameters and headers.

    The headers that every call or every order takes are not named.
    """

    answer: Shape | None
    body: Body | None = None
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    answer_types: tuple[str, ...] = (JSON,)


_KEEP = ("keepDesiredRunState",)
_DOCUMENT = Body(shapes.CONFIGURATION, needed=False)
_PATCH = Body(shapes.JSON_PATCH, (PATCH, JSON))
_INSTANCES: Shape = {"anyOf": [array(ref("Instance")), ref("InstanceStates")]}

OPERATIONS: Mapping[str, Operation] = {
    "instances.create": Operation(ref("Instance"), Body(shapes.CREATION)),
    "instances.list_instances": Operation(
        _INSTANCES, query=("view", "label"), headers=(IF_NONE_MATCH,)
    ),
    "instances.get": Operation(ref("Instance"), headers=(IF_NONE_MATCH,)),
    "instances.delete": Operation(None, headers=(IF_MATCH,)),
    "instances.put_status": Operation(ref("Instance"), Body(shapes.TEXT_OR_WHOLE)),
    "instances.platforms": Operation(shapes.PLATFORMS),
    "descriptions.patch_instance": Operation(
        ref("Instance"), Body(shapes.DESCRIPTION, (MERGE_PATCH, JSON)), headers=(IF_MATCH,)
    ),
    "lifecycle.start": Operation(ref("Outcome"), _DOCUMENT, _KEEP, _ORDER, _SAID),
    "lifecycle.stop": Operation(ref("Outcome"), None, _KEEP, _ORDER, _SAID),
    "lifecycle.restart": Operation(ref("Outcome"), None, (), _ORDER, _SAID),
    "lifecycle.apply": Operation(ref("Outcome"), _DOCUMENT, (), _ORDER, _SAID),
    "lifecycle.observed": Operation(shapes.OBSERVED),
    "lifecycle.runtime_status": Operation(shapes.RUNTIME_INFO),
    "slots.list_slots": Operation(ref("Slots")),
    "slots.plan": Operation(ref("SlotPlan"), Body(shapes.CANDIDATE, needed=False)),
    "slots.open_slot": Operation(
        ref("Slot"), Body(shapes.CANDIDATE_WITH_CONSENT, needed=False), headers=_ORDER
    ),
    "slots.weigh": Operation(ref("Weights"), Body(ref("Weights")), headers=_ORDER),
    "slots.traffic": Operation(ref("Traffic")),
    "slots.parity": Operation(ref("Parity")),
    "slots.switch": Operation(ref("Slots"), headers=_ORDER),
    "slots.close_slot": Operation(None, query=("drainSeconds",), headers=_ORDER),
    "configurations.get": Operation(shapes.CONFIGURATION, headers=(IF_NONE_MATCH,)),
    "configurations.patch": Operation(shapes.CONFIGURATION, _PATCH, headers=(IF_MATCH,)),
    "configurations.put": Operation(
        shapes.CONFIGURATION, Body(shapes.CONFIGURATION), headers=(IF_MATCH,)
    ),
    "configurations.history": Operation(shapes.HISTORY),
    "configurations.generation": Operation(shapes.CONFIGURATION),
    "configurations.last_good": Operation(shapes.CONFIGURATION),
    "configurations.every": Operation(shapes.LINE, answer_types=("application/x-ndjson",)),
    "configurations.get_server": Operation(shapes.SERVER),
    "configurations.patch_server": Operation(shapes.SERVER, _PATCH, headers=(IF_MATCH,)),
    "configurations.put_field": Operation(
        shapes.SERVER, Body(shapes.TEXT_OR_WHOLE), headers=(IF_MATCH,)
    ),
    "changes.changes": Operation(ref("Changes"), query=("after", "wait", "limit")),
    "changes.recent_changes": Operation(shapes.RECENT_CHANGES, query=("since", "statusFilter")),
    "changes.updates": Operation(None, Body(shapes.UPDATE)),
    "replicas.replicas": Operation(shapes.REPLICAS),
    "replicas.give_up": Operation(None),
    "itself.health": Operation(shapes.PROBE),
    "itself.ready": Operation(shapes.PROBE),
    "itself.metrics": Operation(shapes.TEXT, answer_types=("text/plain",)),
}
"""By module and function of the handler."""

QUERY: Mapping[str, Shape] = {
    "after": shapes.TEXT,
    "wait": shapes.NUMBER,
    "limit": shapes.WHOLE,
    "view": {"enum": ["state", "full"]},
    "label": array(shapes.TEXT),
    "keepDesiredRunState": shapes.FLAG,
    "drainSeconds": {**shapes.NUMBER, "maximum": 600},
    "since": {**shapes.TEXT, "format": "date-time"},
    "statusFilter": shapes.TEXT_OR_WHOLE,
    "enumFormat": {"enum": ["int", "name"]},
}
"""Query parameters; every call takes `enumFormat`."""

HEADERS: Mapping[str, Shape] = {
    IF_MATCH: shapes.TEXT,
    IF_NONE_MATCH: shapes.TEXT,
    routes.IDEMPOTENCY_KEY: {**shapes.TEXT, "maxLength": 255},
    routes.ENUM_FORMAT: {"enum": ["int", "name"]},
    routes.ACTOR: shapes.TEXT,
    routes.OPERATION: shapes.TEXT,
    routes.FENCE: {**shapes.WHOLE, "minimum": 1, "maximum": routes.LARGEST_FENCE},
}
EVERY_CALL = (routes.ENUM_FORMAT,)
EVERY_ORDER = (routes.ACTOR, routes.OPERATION, routes.FENCE)
"""Headers of every call, and of every one that is no GET."""
