"""Takes the secrets of a document out of texts that a server wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from draas.model.secrets import MASK, mask


class Redaction:
    """Replaces in a text every secret value of `document`, as `draas.model.secrets` sees them.

    A value is found as it stands, as JSON escapes it, percent-encoded, and line by line. What
    looks like a secret by itself (`password=…`, `scheme://user:…@`) is masked as well.
    """

    def __init__(self, document: Any) -> None:
        found = {form for value in _secrets(document, mask(document)) for form in _forms(value)}
        ordered = sorted(found, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """The text with `***` in place of each secret."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return "\n".join(str(mask(line)) for line in text.split("\n"))


def _secrets(value: Any, masked: Any) -> Iterator[str]:
    """The parts of `value` that its masked copy hides."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _secrets(member, masked[key])
    elif isinstance(value, list | tuple):
        for item, hidden in zip(value, masked, strict=True):
            yield from _secrets(item, hidden)
    elif value != masked:
        text = str(value)
        shape = "(.+?)".join(re.escape(part) for part in str(masked).split(MASK))
        match = re.fullmatch(shape, text, re.DOTALL)
        for part in match.groups() if match else (text,):
            yield part
            if masked != MASK:
                # User information of a URL: the password stands alone elsewhere.
                yield from part.split(":")[1:]


def _forms(value: str) -> Iterator[str]:
    plain = value.strip("\"'")
    for text in (value, plain, *(line.strip() for line in plain.splitlines())):
        yield from (form for form in (text, json.dumps(text)[1:-1], quote(text, "")) if form)
