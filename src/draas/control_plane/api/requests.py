"""What requests bring, read strictly: members of bodies, parameters, and who asks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeVar

from starlette.requests import Request

from draas.contract import routes
from draas.contract.problems import ProblemError
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.records import Cause, stamp
from draas.model.status import NumberedEnum

LONGEST_TEXT = 4096
LONGEST_NAME = 200
LONGEST_KEY = 253
MOST_TEXTS = 64
"""How many labels or pieces of metadata an instance may have: every change of it repeats them."""

E = TypeVar("E", bound=NumberedEnum)


def control_plane(request: Request) -> ControlPlane:
    """The control plane that this application serves."""
    found: ControlPlane = request.app.state.control_plane
    return found


def instance_id(request: Request) -> str:
    """The id in the path."""
    return str(request.path_params["id"])


def cause(request: Request) -> Cause:
    """Who asks for what, with what does not print removed and cut to 200 characters.

    Raises:
        ProblemError: the fence is none (invalid-parameter).
    """
    return Cause(
        at=stamp(control_plane(request).clock.now()),
        actor=_name(request, routes.ACTOR) or "",
        operation_id=_name(request, routes.OPERATION),
        source="Api",
        fence=_fence(request),
    )


def _fence(request: Request) -> int | None:
    given = request.headers.get(routes.FENCE)
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) <= 16:
        value = int(given)
        if 0 < value <= routes.LARGEST_FENCE:
            return value
    raise ProblemError(
        "invalid-parameter",
        f"{routes.FENCE}: {given[:100]!r} is not a whole number from 1 to {routes.LARGEST_FENCE}",
        parameter=routes.FENCE,
        value=given[:200],
    )


def _name(request: Request, header: str) -> str | None:
    text = request.headers.get(header, "")
    return "".join(sign for sign in text if sign.isprintable())[:LONGEST_NAME].strip() or None


def conditions(request: Request, name: str) -> str | None:
    """The entity tags of a header that may come in several lines; `None` without any."""
    return ", ".join(request.headers.getlist(name)) or None


def accepted(header: str) -> dict[str, float]:
    """What an `Accept…` header takes, in its order, with how much it is wanted (RFC 9110, 12.4.2).

    What is not wanted at all, or with a weight that makes no sense, is left out.
    """
    found: dict[str, float] = {}
    for each in header.lower().split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            found[name] = float(weight)
        except ValueError:
            continue
    return {name: weight for name, weight in found.items() if weight > 0}


def members(given: Any) -> dict[str, Any]:
    """The members of an object under their names in lower case (contract 2.1).

    Raises:
        ProblemError: it is no object, or a name is there in two spellings (malformed-body).
    """
    if not isinstance(given, Mapping):
        raise ProblemError("malformed-body", "the body must be a JSON object")
    found = {name.lower(): value for name, value in given.items()}
    if len(found) < len(given):
        raise ProblemError("malformed-body", "the body has a member in two spellings: keep one")
    return found


def text(found: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A member that is text; `default` where it is absent or null, if there is a default."""
    value = found.get(name.lower())
    if value is None and default is not None:
        return default
    if isinstance(value, str) and (value.strip() or default is not None):
        return _short(name, value)
    what = "text" if default is not None else "text that is not empty"
    raise ProblemError("malformed-body", f"{name} must be {what}")


def _short(name: str, value: str) -> str:
    """A text as it is; every list repeats it, so it may not be a book."""
    if len(value) > LONGEST_TEXT:
        detail = f"{name} has {len(value)} characters; at most {LONGEST_TEXT} are kept"
        raise ProblemError("malformed-body", detail)
    return value


def texts(found: Mapping[str, Any], name: str) -> dict[str, str]:
    """A member that is an object of a few texts; empty where it is absent or null."""
    value = found.get(name.lower())
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise ProblemError("malformed-body", f"{name} must be an object whose values are texts")
    if len(value) > MOST_TEXTS:
        first = next(islice(value, MOST_TEXTS, None))
        detail = f"{name} would have {len(value)} keys; from {first[:100]!r} on they are too many: "
        raise ProblemError("malformed-body", f"{detail}{MOST_TEXTS} are kept")
    for key in value:
        if not 0 < len(key) <= LONGEST_KEY:
            detail = f"{name} has the key {key[:100]!r} of {len(key)} characters; it must have 1 to"
            raise ProblemError("malformed-body", f"{detail} {LONGEST_KEY}")
    return {key: _short(f"{name}.{key[:100]}", each) for key, each in value.items()}


def choice(found: Mapping[str, Any], name: str, default: E) -> E:
    """A member that is one of an enumeration, by name or number; `default` where absent."""
    value = found.get(name.lower())
    if value is None:
        return default
    try:
        return type(default).parse(value)
    except ValueError as error:
        raise ProblemError("malformed-body", f"{name}: {error}"[:500]) from None


def number(
    request: Request, name: str, default: float, *, least: float = 0, most: float | None = None
) -> float:
    """A query parameter that is a number; infinities and NaN are none.

    Raises:
        ProblemError: it is none, below `least` or above `most` (invalid-parameter).
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not least <= value <= (sys.float_info.max if most is None else most):
        until = "" if most is None else f" to {most:g}"
        raise ProblemError(
            "invalid-parameter",
            f"{name}={given[:100]!r} is not a number from {least:g}{until}",
            parameter=name,
            value=given[:200],
        )
    return value


def whole(request: Request, name: str, default: int, *, least: int = 0) -> int:
    """A query parameter that is a whole number.

    Raises:
        ProblemError: it is none, or below `least` (invalid-parameter).
    """
    given = request.query_params.get(name, str(default))
    if given.isascii() and given.isdigit() and len(given) < 10 and int(given) >= least:
        return int(given)
    raise ProblemError(
        "invalid-parameter",
        f"{name}={given[:100]!r} is not a whole number from {least}",
        parameter=name,
        value=given[:200],
    )


def flag(request: Request, name: str) -> bool:
    """A query parameter that is true or false, false where it is absent.

    Raises:
        ProblemError: it is neither (invalid-parameter).
    """
    given = request.query_params.get(name, "false").lower()
    if given not in ("true", "false"):
        raise ProblemError(
            "invalid-parameter",
            f"{name} is true or false, not {given[:100]!r}",
            parameter=name,
            value=given[:200],
        )
    return given == "true"
