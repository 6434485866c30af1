"""Reads and changes a running Drasi server over its REST API and trusts nothing that it says."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from draas.adapters.machine.ports import reachable
from draas.adapters.machine.redaction import Redaction
from draas.adapters.platforms.server_report import Report, Unobservable, read_report
from draas.control_plane.documents import LARGEST
from draas.control_plane.ports import Observation, Running, StepError, UnansweredStepError
from draas.decide.hot_apply import Step
from draas.model.clock import Clock
from draas.model.status import Health

_MAX_BYTES = 4 * LARGEST
"""A server may escape what is not ASCII, three times the bytes, and says more than it was given."""


class DrasiClient:
    """`Observer` and `Editor` of Drasi servers; a look is one `GET /health` and one snapshot.

    Each request has `timeout` seconds, and an answer at most 32 MiB. Every request is a connection
    of its own: a kept one could belong to the server before the restart.
    """

    def __init__(self, clock: Clock, *, timeout: float = 5.0) -> None:
        self._clock = clock
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def observe(self, running: Running) -> Observation:
        """What the slot reports now; whatever goes wrong is told in the observation."""
        if fault := await self._health_fault(running):
            return self._observation(Health.UNHEALTHY, fault)
        try:
            snapshot = await self.snapshot(running)
            report = read_report(snapshot)
        except Unobservable as unreadable:
            return self._observation(Health.UNKNOWN, unreadable.reason)
        if report.failed:
            report = report.explained(await self._errors(running, report), Redaction(snapshot))
        return self._observation(*report.verdict(), snapshot, report)

    async def snapshot(self, running: Running) -> dict[str, Any]:
        """The snapshot of the slot's server.

        Raises:
            Unobservable: no answer, an unreadable one, or that of another instance, which means
                that a stranger got hold of the port.
        """
        body = await self._get(running, "snapshot")
        if isinstance(body, dict) and isinstance(body.get("data"), dict):
            body = body["data"]
        if not isinstance(body, dict) or not isinstance(body.get("instance_id"), str):
            raise Unobservable("the server's answer is no snapshot: it names no instance_id")
        if body["instance_id"] != running.instance_id:
            raise Unobservable(
                f"port {running.port} is answered by another server, of instance "
                f"{body['instance_id'][:100]!r}"
            )
        return body

    async def carry_out(self, running: Running, step: Step) -> None:
        """Make one change.

        Raises:
            StepError: it was refused (UnansweredStepError: it got no answer).
        """
        method, path = _call(step)
        try:
            status, body = await self._fetch(
                running, self._path(running, path), method, step.document
            )
        except Unobservable as unreachable:
            raise UnansweredStepError(
                f"{step.action} of {step.part}/{step.id}: {unreachable.reason}"
            ) from None
        if status != 200:
            said = Redaction(step.document or {})(_message(body))
            raise StepError(f"{step.action} of {step.part}/{step.id} answered {status}: {said}")

    async def close(self) -> None:
        """Release the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _health_fault(self, running: Running) -> str | None:
        try:
            status, _ = await self._fetch(running, "/health")
        except Unobservable as unreachable:
            return unreachable.reason
        return None if status == 200 else f"GET /health answered {status}"

    async def _errors(self, running: Running, report: Report) -> dict[tuple[str, str], str]:
        """Why components are in Error: only the lists tell, and they may fail to."""
        errors: dict[tuple[str, str], str] = {}
        for kind, collection in report.failed:
            try:
                body = await self._get(running, collection)
            except Unobservable:
                continue
            listed = body.get("data") if isinstance(body, dict) else body
            for entry in listed if isinstance(listed, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("error_message"), str):
                    errors[kind, str(entry.get("id"))] = entry["error_message"][:1000]
        return errors

    async def _get(self, running: Running, name: str) -> Any:
        status, body = await self._fetch(running, self._path(running, name))
        if status != 200:
            raise Unobservable(
                f"GET {name} answered {status}"
                + (f": no instance {running.instance_id!r} there" if status == 404 else "")
            )
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Unobservable(f"GET {name} answered no readable JSON: {error}") from error

    def _path(self, running: Running, name: str) -> str:
        return f"/api/v1/instances/{quote(running.instance_id, safe='')}/{name}"

    async def _fetch(
        self, running: Running, path: str, method: str = "GET", document: Any = None
    ) -> tuple[int, bytes]:
        host = reachable(running.host)
        netloc = f"[{host}]" if ":" in host else host
        body = bytearray()
        try:
            url = URL(f"http://{netloc}:{running.port}{path}", encoded=True)
            async with self._open().request(
                method, url, json=document, allow_redirects=False
            ) as response:
                async for chunk in response.content.iter_chunked(64 * 1024):
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise Unobservable(f"the answer is above {_MAX_BYTES} bytes")
                return response.status, bytes(body)
        except TimeoutError as error:
            raise Unobservable(f"no whole answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unobservable(f"no answer from {netloc}:{running.port}: {error}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=100),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                headers={"Accept-Encoding": "identity"},
                # A compressed answer could unfold to any size: it is taken for what it is, garbage.
                auto_decompress=False,
            )
        return self._session

    def _observation(
        self,
        health: Health,
        reason: str | None,
        snapshot: dict[str, Any] | None = None,
        report: Report | None = None,
    ) -> Observation:
        components = () if report is None else report.statuses
        return Observation(self._clock.now(), health, reason, snapshot, components)


def _call(step: Step) -> tuple[str, str]:
    """Method and path below the instance."""
    one = f"{step.part}/{quote(step.id, safe='')}"
    match step.action:
        case "post":
            return "POST", step.part
        case "put":
            return "PUT", one
        case "delete":
            return "DELETE", one
        case "start" | "stop":
            return "POST", f"{one}/{step.action}"


def _message(body: bytes) -> str:
    """What the server says of an error, or how its answer begins."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        said = None
    message = said.get("message") if isinstance(said, dict) else None
    return str(message or body[:200].decode(errors="replace"))[:500]
