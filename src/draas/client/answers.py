"""What came back over HTTP, and what it means if it says no or makes no sense."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

import msgspec

from draas.client.port import ControlPlaneError, GarbageError, RefusedError
from draas.contract.problems import PREFIX
from draas.model.json_value import MAX_DEPTH

T = TypeVar("T")

MAXIMUM_BODY = 8 * 1024 * 1024
LONGEST_WAIT = 86_400.0
"""Nobody is asked to wait longer than a day, whatever `Retry-After` says."""
LONGEST_DETAIL = 2000
MOST_DIGITS = 18
MOST_MARKS = 2_000_000
"""A text of more brackets and strings is not gone through one by one."""

_ANYTHING = msgspec.json.Decoder[Any]()
_MARKS = re.compile(r'"(?:[^"\\]|\\.?)*+"?|[\[\]{}]', re.DOTALL)


class Response:
    """A complete answer: status, headers and body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            GarbageError: it is not, or is nested too deep.
        """
        return decoded(_ANYTHING, self)

    def salvaged(self) -> Any:
        """The body as JSON, and as far as it makes sense if it does not as a whole.

        Raises:
            GarbageError: it is no JSON at all.
        """
        try:
            return self.json()
        except GarbageError:
            return salvaged(self.body)

    @property
    def etag(self) -> str | None:
        """The ETag, if it is one that can be sent back."""
        tag = self.headers.get("ETag", "")
        return tag if tag and tag.isascii() and tag.isprintable() else None


def decoded(decoder: msgspec.json.Decoder[T], response: Response) -> T:
    """The body as the type of the decoder.

    Raises:
        GarbageError: it is something else.
    """
    return read(decoder, response.body)


def read(decoder: msgspec.json.Decoder[T], text: bytes | msgspec.Raw) -> T:
    """The JSON text as the type of the decoder.

    Raises:
        GarbageError: it is something else.
    """
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GarbageError(f"the answer makes no sense: {error}") from error


def salvaged(text: bytes) -> Any:
    """JSON as far as it makes sense: one senseless thing in a list is to spoil no other.

    What is nested too deep and what is no number are null. What is no text has lone surrogates,
    and is not printable.

    Raises:
        GarbageError: it is no JSON at all.
    """
    try:
        shallow = _shallow(text.decode("utf-8", "surrogateescape"))
        return json.loads(shallow, parse_int=whole)
    except (ValueError, RecursionError) as error:
        raise GarbageError(f"the answer is not JSON: {error}") from error


def _shallow(text: str) -> str:
    """The JSON text with null in the place of what is nested deeper than anything may be."""
    kept, level, begin = [], 0, 0
    for number, mark in enumerate(_MARKS.finditer(text)):
        if number == MOST_MARKS:
            raise ValueError("it makes no sense, and is too large to look what of it does")
        if mark[0] in ("[", "{"):
            level += 1
            if level == MAX_DEPTH + 1:
                kept += [text[begin : mark.start()], "null"]
        elif mark[0] in ("]", "}"):
            level -= 1
            if level == MAX_DEPTH:
                begin = mark.end()
    return "".join((*kept, text[begin:])) if level <= MAX_DEPTH else text


def whole(digits: str) -> int | None:
    """The number that the ASCII digits are, `None` for anything else and for immense ones."""
    plain = digits.removeprefix("-")
    fits = plain.isascii() and plain.isdigit() and len(plain) <= MOST_DIGITS
    return int(digits) if fits else None


def is_id(value: Any) -> TypeGuard[str]:
    """Whether an instance can be named so: a text that a path and a log can hold."""
    return isinstance(value, str) and value.isprintable() and value.strip(".") != ""


def judged(response: Response, *, conditional: bool) -> Response | ControlPlaneError:
    """The answer if it is 2xx, or 304 to a question that named what is known; else its error."""
    if response.status // 100 == 2 or (response.status == 304 and conditional):
        return response
    if response.status == 304:
        return GarbageError("the answer is 304, and nothing was said to be known")
    return refusal(response)


def refusal(response: Response) -> RefusedError:
    """The error that an answer other than 2xx and 304 is; a problem (RFC 9457) tells more."""
    if response.status // 100 == 3:
        target = response.headers.get("Location", "").partition("?")[0][:LONGEST_DETAIL]
        detail = f"status {response.status}: it sends elsewhere, to {target!r}; is the URL right?"
        return RefusedError(response.status, "", detail)
    try:
        problem = response.json()
    except GarbageError:
        problem = None
    if not isinstance(problem, dict):
        text = response.body[:200].decode("utf-8", "replace")
        problem = {"detail": text}
    kind = _text(problem, "type").removeprefix(PREFIX)
    said = _text(problem, "detail") or _text(problem, "title")
    detail = said[:LONGEST_DETAIL] or f"status {response.status}"
    return RefusedError(response.status, kind, detail, problem, _seconds(response))


def _text(problem: Mapping[str, Any], name: str) -> str:
    found = problem.get(name)
    return found if isinstance(found, str) else ""


def _seconds(response: Response) -> float | None:
    after = response.headers.get("Retry-After", "")
    return min(float(after), LONGEST_WAIT) if after.isascii() and after.isdigit() else None
