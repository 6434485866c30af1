"""The daemon's management API: drift, orders, audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from draas.client.http import MAXIMUM_LIST, HttpClient
from draas.client.operators import Document, as_object, not_ready
from draas.client.port import GarbageError
from draas.contract import routes

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Drifting:
    """Which instances: those with a verdict, with a kind of drift, held by a gate."""

    verdict: str | None = None
    kind: str | None = None
    gate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Which entries of the audit: the newest `limit`, from the time `since` on, before `until`."""

    instance_id: str | None = None
    outcome: str | None = None
    operation_id: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None


EVERY_INSTANCE = Drifting()
EVERY_ENTRY = Entries()


class Reconciliation:
    """Typed calls of `/api/reconciliation`. All raise `ControlPlaneError`."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http

    async def readiness(self) -> str:
        """Why the daemon is not ready; empty once it is."""
        return await not_ready(self.http)

    async def drift(self, which: Drifting = EVERY_INSTANCE) -> list[Document]:
        """The drift state of the instances, by id."""
        asked = {"verdict": which.verdict, "kind": which.kind, "blockedBy": which.gate}
        return await self._lines(_given(asked))

    async def waiting_for_approval(self) -> list[Document]:
        """The drift state of those whose plan waits for a person."""
        return await self.drift(Drifting(gate="approval"))

    async def judge(self, instance_id: str, verdict: str, body: Document, actor: str) -> Document:
        """Tell what a person decided about a plan: `approve` or `reject`."""
        path, headers = routes.reconciled(instance_id, verdict), {routes.ACTOR: actor}
        return as_object(await self.http.request("POST", path, body=body, headers=headers))

    async def take_in_hand(self, instance_id: str, wish: str, reason: str, actor: str) -> Document:
        """Ask something of an operation under way: `promote`, `pause`, `resume` or `abort`."""
        path, headers = routes.reconciled(instance_id, wish), {routes.ACTOR: actor}
        body = {"reason": reason}
        return as_object(await self.http.request("POST", path, body=body, headers=headers))

    async def _lines(self, query: dict[str, str]) -> list[Document]:
        found: list[Document] = []
        after = ""
        while True:
            params = query | {"after": after, "limit": str(PAGE)}
            answer = await self.http.request("GET", routes.RECONCILED, params=params)
            page = as_object(answer)
            found += _objects(page.get("instances"))
            after = page.get("next") or ""
            if not after:
                return found

    async def explain(self, instance_id: str) -> Document:
        """One instance, read now: plan, gates, differences."""
        return as_object(await self.http.request("GET", routes.reconciled(instance_id)))

    async def reconcile(
        self,
        instance_id: str,
        strategy: str | None,
        *,
        dry_run: bool,
        allow_state_loss: bool = False,
    ) -> Document:
        """Have the instance looked at now, or only hear what would be done."""
        body: Document = {"dryRun": dry_run, "allowStateLoss": allow_state_loss}
        if strategy is not None:
            body["strategy"] = strategy
        path = routes.reconciled(instance_id, "reconcile")
        return as_object(await self.http.request("POST", path, body=body))

    async def release(self, instance_id: str) -> bool:
        """Lift the quarantine of an instance's configurations; whether there was one."""
        path = routes.reconciled(instance_id, "release")
        return bool(as_object(await self.http.request("POST", path)).get("released"))

    async def release_everywhere(self, digest: str) -> list[str]:
        """Lift the quarantine of a configuration for the whole fleet; on whom it had failed."""
        path = f"{routes.ROLLOUTS}/{quote(digest, safe='')}/release"
        return [str(each) for each in as_object(await self.http.request("POST", path))["released"]]

    async def audit(self, which: Entries = EVERY_ENTRY) -> list[Any]:
        """Entries of the audit, newest first; without a limit as many as the daemon shows."""
        answer = await self.http.request(
            "GET", routes.AUDIT, params=_query(which), maximum=MAXIMUM_LIST
        )
        return _objects(as_object(answer).get("entries"))

    async def export(self, which: Entries = EVERY_ENTRY) -> str:
        """All such entries of the audit as lines of JSON, newest first."""
        params = _query(which) | {"format": "ndjson"}
        answer = await self.http.request(
            "GET", routes.AUDIT, params=params, maximum=MAXIMUM_LIST, within=300
        )
        return answer.body.decode("utf-8", "replace")

    async def verify(self) -> Document:
        """Whether the audit's chain holds."""
        return as_object(await self.http.request("GET", routes.AUDIT_VERIFY, within=300))


def _query(which: Entries) -> dict[str, str]:
    return _given(
        {
            "instanceId": which.instance_id,
            "outcome": which.outcome,
            "operationId": which.operation_id,
            "since": which.since,
            "until": which.until,
            "limit": which.limit,
        }
    )


def _given(asked: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in asked.items() if value is not None}


def _objects(value: Any) -> list[Document]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise GarbageError("the answer has no array of objects where one belongs")
    return value
