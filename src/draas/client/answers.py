"""What came back over HTTP, and what it means if it says no."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from draas.client.port import GarbageError, RefusedError
from draas.contract.problems import PREFIX

T = TypeVar("T")

MAXIMUM_BODY = 8 * 1024 * 1024


class Response:
    """A complete answer: status, headers and body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            GarbageError: it is not.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise GarbageError(f"the answer is not JSON: {error}") from error


def decoded(decoder: msgspec.json.Decoder[T], response: Response) -> T:
    """The body as the type of the decoder.

    Raises:
        GarbageError: it is something else.
    """
    try:
        return decoder.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GarbageError(f"the answer makes no sense: {error}") from error


def refusal(response: Response) -> RefusedError:
    """The error that an answer other than 2xx and 304 is; a problem (RFC 9457) tells more."""
    try:
        problem = json.loads(response.body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        text = response.body[:200].decode("utf-8", "replace")
        problem = {"detail": text or f"status {response.status}"}
    kind = str(problem.get("type", "")).removeprefix(PREFIX)
    detail = str(problem.get("detail") or problem.get("title") or f"status {response.status}")
    after = response.headers.get("Retry-After", "")
    retry_after = float(after) if after.isdigit() else None
    return RefusedError(response.status, kind, detail, problem, retry_after)
