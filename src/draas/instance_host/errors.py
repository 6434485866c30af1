"""The two ways of failing: an answer to a client, and a start that must not go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from draas.contract.drasi_server import INVALID_REQUEST, NOT_NOW, WRONG_ROLE, http_status


class ApiError(Exception):
    """A request that is answered with drasi-server's error envelope.

    `code` is one of the contract's codes and decides the HTTP status; `message` is for people and
    never holds a property's value; `technical` goes to `details.technical_details`.
    """

    def __init__(self, code: str, message: str, technical: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.technical = technical

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return http_status(self.code)

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.technical:
            body["details"] = {"technical_details": self.technical}
        return body


def invalid(message: str, technical: str | None = None) -> ApiError:
    """An `INVALID_REQUEST` (400)."""
    return ApiError(INVALID_REQUEST, message, technical)


def not_now(message: str) -> ApiError:
    """A `NOT_NOW` (503): the client may send the same again."""
    return ApiError(NOT_NOW, message)


def wrong_role(message: str) -> ApiError:
    """A `WRONG_ROLE` (409)."""
    return ApiError(WRONG_ROLE, message)


@contextmanager
def naming(component: str) -> Iterator[None]:
    """Begins the message of an `ApiError` about a property with the component that has it."""
    try:
        yield
    except ApiError as error:
        raise ApiError(error.code, f"{component}.{error.message}", error.technical) from error


class NotLeadingError(ApiError):
    """A change that was not applied, because another host of the instance leads, or will."""

    def __init__(self) -> None:
        super().__init__(NOT_NOW, "this host of the instance does not lead")


class StartError(Exception):
    """The host cannot start: one line for stderr, exit code 1."""
