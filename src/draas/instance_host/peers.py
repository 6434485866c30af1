"""What one host of an instance asks of another."""

from __future__ import annotations

import json

from draas.contract.drasi_server import API_PREFIX, HANDOVER, LEADER, NOT_NOW
from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError, invalid, not_now
from draas.instance_host.http_client import Target, send
from draas.instance_host.parsing import parse_json

FORWARD_SECONDS = 45.0
"""For the answer to a push: longer than one waits for a leader at most."""
ROLE_SECONDS = 1.0


def base_url(text: str, name: str) -> str:
    """The address of another host, as `http://127.0.0.1:8081`; `ApiError` (400) if it is none."""
    try:
        target = Target.of(text)
    except ValueError as error:
        raise invalid(f"{name}: {error}") from error
    if target.secure or target.path != "/":
        raise invalid(f"{name}: must be a plain http URL without a path")
    return text.rstrip("/")


async def leads(peer: str | None) -> bool:
    """Whether another host says that it leads; one that does not answer does not say so."""
    if peer is None:
        return False
    try:
        status, body = await _ask("GET", peer, "", b"", ROLE_SECONDS)
        return status == 200 and bool(parse_json(body)["data"]["role"] == LEADER)
    except (OSError, TimeoutError, ValueError, KeyError, TypeError):
        return False


async def forward(peer: str, source_id: str, change: Change, hops: int) -> None:
    """Have another host apply a client's change, or `ApiError` as it says.

    503 when it does not answer: then nobody knows whether it was applied.
    """
    body = json.dumps({"source": source_id, "change": change, "hops": hops}).encode()
    try:
        status, answer = await _ask("POST", peer, "/push", body, FORWARD_SECONDS)
        document = parse_json(answer)
    except (OSError, TimeoutError, ValueError) as error:
        reason = f"the leading host did not answer ({type(error).__name__}): try again"
        raise not_now(reason) from error
    if status != 200:
        code, message = document.get("code") or NOT_NOW, document.get("message")
        details = document.get("details") or {}
        raise ApiError(str(code), str(message), details.get("technical_details"))


async def _ask(method: str, base: str, path: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    target = Target.of(f"{base}{API_PREFIX}{HANDOVER}{path}")
    return await send(method, target, {"content-type": "application/json"}, body, timeout)
