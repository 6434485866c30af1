"""The shapes of bodies and answers that no type of the wire has, as JSON Schema."""

from __future__ import annotations

from typing import Any

from draas.contract.problems import PREFIX, STATUS

Shape = dict[str, Any]


def obj(*required: str, **properties: Shape) -> Shape:
    """An object with these properties and maybe more."""
    found: Shape = {"type": "object", "properties": properties, "additionalProperties": True}
    return found | ({"required": list(required)} if required else {})


def array(items: Shape) -> Shape:
    """An array of these."""
    return {"type": "array", "items": items}


def ref(name: str) -> Shape:
    """A shape that is among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(kind: str) -> Shape:
    """A value of this kind, or null."""
    return {"type": [kind, "null"]}


TEXT: Shape = {"type": "string"}
WHOLE: Shape = {"type": "integer"}
NUMBER: Shape = {"type": "number"}
FLAG: Shape = {"type": "boolean"}
TEXTS: Shape = {"type": "object", "additionalProperties": TEXT}
LABELS_PATCH: Shape = {"type": ["object", "null"], "additionalProperties": maybe("string")}
CONFIGURATION: Shape = {"type": "object", "additionalProperties": True}
TEXT_OR_WHOLE: Shape = {"type": ["string", "integer"]}

JSON_PATCH = array(
    {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": TEXT,
            "from": TEXT,
            "value": {},
        },
    }
)
CREATION = obj(
    "name",
    id=TEXT,
    name=TEXT,
    description=TEXT,
    platformType={**TEXT, "default": "Process"},
    labels=TEXTS,
    metadata=TEXTS,
    configuration=CONFIGURATION,
    serverConfiguration=CONFIGURATION,
    desiredRunState={"enum": ["Running", "Stopped"], "default": "Stopped"},
)
DESCRIPTION = obj(
    name=TEXT, description=maybe("string"), labels=LABELS_PATCH, metadata=LABELS_PATCH
)
CANDIDATE = obj(configuration=CONFIGURATION)
CANDIDATE_WITH_CONSENT = obj(configuration=CONFIGURATION, allowStateLoss={**FLAG, "default": False})
UPDATE = obj(
    "instanceId",
    "status",
    "source",
    instanceId=TEXT,
    status=TEXT_OR_WHOLE,
    source=TEXT,
    metadata=TEXTS,
)

PLATFORMS = array(obj(platformType=TEXT, available=FLAG, reason=maybe("string")))
SERVER = obj(host=TEXT, port=WHOLE, logLevel=TEXT)
OBSERVED = obj(
    instanceId=TEXT,
    at=TEXT,
    configuration=CONFIGURATION,
    componentsDigest=TEXT,
    components=array(obj(kind=TEXT, id=TEXT, status=TEXT, error=maybe("string"))),
    host=TEXT,
    port=WHOLE,
    unobservable=array(TEXT),
)
RUNTIME_INFO = obj(
    instanceId=TEXT,
    status=TEXT,
    startedAt=maybe("string"),
    stoppedAt=maybe("string"),
    containerId=maybe("string"),
    processId=maybe("string"),
    hostId=maybe("string"),
    podName=maybe("string"),
    namespace=maybe("string"),
    runtimeMetadata=TEXTS,
    errorMessage=maybe("string"),
)
HISTORY = array(
    obj(
        generation=WHOLE,
        digest=TEXT,
        at=TEXT,
        actor=TEXT,
        operationId=maybe("string"),
        lastGood=FLAG,
    )
)
LINE = obj(id=TEXT, generation=WHOLE, digest=TEXT, configuration=CONFIGURATION)
RECENT_CHANGES = array(
    obj(
        sequence=WHOLE,
        instanceId=TEXT,
        oldStatus=TEXT,
        newStatus=TEXT,
        source=TEXT,
        timestamp=TEXT,
        metadata=TEXTS,
    )
)
REPLICAS = obj(
    host=maybe("string"), replicas=array(obj(id=TEXT, url=TEXT, alive=FLAG, instances=WHOLE))
)
PROBE = obj("status", status=TEXT, reason=TEXT)
PROBLEM = obj(
    "type",
    "title",
    "status",
    "detail",
    "instance",
    type={"enum": [PREFIX + kind for kind in STATUS]},
    title=TEXT,
    status=WHOLE,
    detail=TEXT,
    instance=TEXT,
)
