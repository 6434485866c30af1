"""Which values are secret, and what is shown instead (B-14).

A property is secret by its name, whatever its case and spelling; everything below it is. User
information in URLs and `password=…` in connection strings are secret wherever they stand.
References to environment variables and secrets are names, not secrets, and stay readable; a
default value inside one is masked where a value would be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from draas.model.references import reference, shown

MASK = "***"

_WORDS = re.compile(
    "passw|passphrase|pwd|secret|token|credential|authorization|cookie|connectionstring|connstr"
    "|(?:api|access|account|shared|private|signing|encryption|sas|master|subscription|hmac)key"
)
_HARMLESS = {"secretstore", "secretstores", "tokenurl", "tokenendpoint", "maxtokens"}
_WORD = re.compile(r"\S+")
_ASSIGNED = re.compile(
    r"(?i)((?:password|passwd|pwd|secret|token|signature|(?:api|access|account)[_-]?key)=)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s;&]+)"
)
_LABELS = ("name", "key", "header")


def is_secret(name: str) -> bool:
    """Whether a property of this name holds a secret: `password`, `Api-Key`, `client_secret`…"""
    plain = "".join(filter(str.isalnum, name)).lower()
    return _WORDS.search(plain) is not None and plain not in _HARMLESS


def mask(document: Any) -> Any:
    """A copy of the JSON value with every secret replaced by `***`; its structure is kept."""
    return _masked(document, False)


def masked(value: Any, path: Iterable[str]) -> Any:
    """`mask` for a value that stands at `path`, the property names above it."""
    return _masked(value, any(is_secret(name) for name in path))


def _masked(value: Any, secret: bool) -> Any:
    if isinstance(value, str):
        return _masked_text(value, secret)
    if isinstance(value, Mapping):
        if secret and reference(value) is not None:
            keep = ("kind", "name")
            return {key: member if key in keep else MASK for key, member in value.items()}
        labelled = any(
            isinstance(label := value.get(name), str) and is_secret(label) for name in _LABELS
        )
        return {
            key: _masked(member, secret or is_secret(key) or (labelled and key.lower() == "value"))
            for key, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(item, secret) for item in value]
    return MASK if secret and not isinstance(value, bool) and value is not None else value


def _masked_text(text: str, secret: bool) -> str:
    if secret:
        form = reference(text)
        if form is None:
            return MASK
        return shown(form | {"default": MASK}) if "default" in form else text
    if "://" in text:
        text = _WORD.sub(_without_user_info, text)
    return _ASSIGNED.sub(rf"\1{MASK}", text) if "=" in text else text


def _without_user_info(word: re.Match[str]) -> str:
    """Everything up to the last @ goes, because a password may hold any character."""
    text = word.group()
    start, end = text.find("://"), text.rfind("@")
    return f"{text[: start + 3]}{MASK}{text[end:]}" if 0 <= start < end else text
