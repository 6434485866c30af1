"""JSON and YAML into plain JSON values, or a `ValueError` with the place of the fault.

What comes out can always be shown again: no NaN, no dates, no bytes, no cycles.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from draas.model.json_value import MAX_DEPTH

EXPANDED_LIMIT = 16 * 1024 * 1024
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Where a character may have been escaped by halves, of which one may be missing."""
_LONGEST_WHOLE = len("18446744073709551615")


def parse_json(text: bytes | str) -> Any:
    """RFC 8259 JSON; NaN, Infinity and halves of characters are no part of it, nor a key twice.

    A whole number beyond 64 bits becomes a float, as in drasi-server. One beyond what a double
    holds is refused: it would come out as Infinity.
    """
    try:
        text = text if isinstance(text, str) else text.decode("utf-8-sig")
        found = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_unique,
        )
        if _SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except UnicodeEncodeError:
        raise ValueError("a text has half of a surrogate pair, which is no character") from None
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_yaml(text: bytes) -> Any:
    """YAML 1.2 of JSON's types, no key twice; what looks like a date stays text."""
    from yaml import YAMLError  # noqa: PLC0415 - rarely needed, and costs milliseconds of a start

    from draas.instance_host.core_yaml import load  # noqa: PLC0415

    try:
        return _plain(load(text))
    except (YAMLError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def shallow(value: Any) -> Any:
    """`value`, or `ValueError` if it nests deeper than a configuration may.

    For what clients send: deeper ones pass here and overflow the stack somewhere behind.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for each in level
            if isinstance(each, (dict, list))
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return value
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _plain(value: Any) -> Any:
    """`value` by way of JSON, so that repeated anchors cannot grow without bound."""
    chunks, size = [], 0
    for chunk in json.JSONEncoder().iterencode(value):
        chunks.append(chunk)
        size += len(chunk)
        if size > EXPANDED_LIMIT:
            raise ValueError(f"above {EXPANDED_LIMIT} bytes with its anchors expanded")
    return parse_json("".join(chunks))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key `{twice[:50]}` is used twice")
    return found


def _whole(text: str) -> int | float:
    if len(text) <= _LONGEST_WHOLE and -(2**63) <= (number := int(text)) < 2**64:
        return number
    return _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:50]} is too large for a number: use at most 1.7e308")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
