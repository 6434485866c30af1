"""The control plane as people use it: whole instances, their configurations, their run state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from draas.client.answers import Response, whole
from draas.client.http import MAXIMUM_LIST, HttpClient
from draas.client.port import GarbageError, RefusedError
from draas.contract import routes

LIFECYCLE_SECONDS = 120.0
"""The longest that starting or stopping one instance may take."""

LIST_SECONDS = 300.0
"""The longest that reading all configurations may take."""

Document = dict[str, Any]


class Operators:
    """Typed calls of docs/api.md for a person's orders. All raise `ControlPlaneError`."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http

    async def instances(self, labels: Sequence[str] = ()) -> list[Document]:
        """All instances that have every one of the labels `k=v`."""
        answer = await self.http.request(
            "GET",
            routes.SERVERS + routes.INSTANCES,
            params=[("label", label) for label in labels],
            maximum=MAXIMUM_LIST,
        )
        found = answer.json()
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise GarbageError("the list of instances is no array of objects")
        return found

    async def configurations(self) -> dict[str, Document]:
        """The desired configuration of every instance, by id."""
        answer = await self.http.request(
            "GET", routes.CONFIGURATIONS, maximum=MAXIMUM_LIST, within=LIST_SECONDS
        )
        try:
            found = [json.loads(line) for line in answer.body.splitlines()]
            return {each["id"]: each["configuration"] for each in found}
        except (ValueError, LookupError, TypeError) as error:
            raise GarbageError(f"the configurations are no lines of JSON: {error}") from error

    async def instance(self, instance_id: str) -> Document:
        """One instance."""
        return as_object(await self.http.request("GET", routes.instance(instance_id)))

    async def find(self, instance_id: str) -> Document | None:
        """One instance, `None` if the control plane says that there is none."""
        try:
            return await self.instance(instance_id)
        except RefusedError as error:
            if error.kind == "instance-not-found":
                return None
            raise

    async def create(self, body: Mapping[str, Any]) -> Document:
        """A new instance, which is not started yet."""
        path = routes.SERVERS + routes.INSTANCES
        return as_object(await self.http.request("POST", path, body=body))

    async def describe(self, instance_id: str, patch: Mapping[str, Any]) -> Document:
        """The instance with another name, description or labels, by a merge patch (RFC 7396)."""
        path = routes.instance(instance_id)
        answer = await self.http.request(
            "PATCH", path, body=patch, media_type="application/merge-patch+json"
        )
        return as_object(answer)

    async def configuration(self, instance_id: str) -> tuple[Document, str]:
        """The desired configuration and its ETag, for `If-Match`."""
        return _tagged(await self.http.request("GET", routes.configuration(instance_id)))

    async def put(self, instance_id: str, configuration: Document, etag: str) -> Document:
        """Replace the configuration that has the ETag."""
        answer = await self.http.request(
            "PUT",
            routes.configuration(instance_id),
            body=configuration,
            headers={"If-Match": etag},
        )
        return as_object(answer)

    async def patch(self, instance_id: str, operations: Any, etag: str | None = None) -> int:
        """The generation of the configuration after a JSON Patch."""
        answer = await self.http.request(
            "PATCH",
            routes.configuration(instance_id),
            body=operations,
            headers={"If-Match": etag} if etag else {},
            media_type="application/json-patch+json",
        )
        generation = whole(answer.headers.get(routes.GENERATION, ""))
        if generation is None:
            raise GarbageError("the answer to the patch does not tell its generation")
        return generation

    async def lifecycle(
        self, instance_id: str, action: str, *, keep_desired: bool = False
    ) -> Document:
        """Start, stop or restart; `keep_desired` leaves what the user wants as it is."""
        answer = await self.http.request(
            "POST",
            routes.instance(instance_id, action),
            params={"keepDesiredRunState": "true"} if keep_desired else None,
            within=LIFECYCLE_SECONDS,
        )
        return as_object(answer)

    async def delete(self, instance_id: str) -> None:
        """Stop and forget an instance."""
        path = routes.instance(instance_id)
        await self.http.request("DELETE", path, within=LIFECYCLE_SECONDS)

    async def process_id(self, instance_id: str) -> int | None:
        """The process that runs the instance on this machine; `None` if none does."""
        runtime = as_object(await self.http.request("GET", routes.status(instance_id)))
        return whole(str(runtime.get("processId") or ""))

    async def cursor(self) -> str:
        """Where the change feed stands now."""
        answer = as_object(await self.http.request("GET", routes.CHANGES))
        return str(answer.get("cursor", ""))

    async def next_change(self, after: str, wait: float) -> str:
        """The cursor behind the next change, or the same one after `wait` seconds."""
        params = {"after": after, "wait": f"{wait:g}"}
        answer = await self.http.request("GET", routes.CHANGES, params=params, within=wait + 10)
        return str(as_object(answer).get("cursor", ""))

    async def readiness(self) -> str:
        """Why the control plane is not ready; empty once it is."""
        return await not_ready(self.http)


async def not_ready(http: HttpClient) -> str:
    """Why the process at the client's URL does not say that it is ready; empty if it does.

    Raises:
        UnreachableError: nobody answers.
    """
    try:
        await http.request("GET", routes.READY)
    except RefusedError as error:
        checks = error.members.get("checks")
        checks = checks if isinstance(checks, dict) else {}
        failed = [name for name, passed in checks.items() if not passed]
        return str(error.members.get("reason") or ", ".join(failed) or error.detail)
    return ""


def as_object(answer: Response) -> Document:
    """The answer's JSON object.

    Raises:
        GarbageError: it is something else.
    """
    found = answer.json()
    if not isinstance(found, dict):
        raise GarbageError("the answer is not an object")
    return found


def _tagged(answer: Response) -> tuple[Document, str]:
    return as_object(answer), answer.headers.get("ETag", "")
