"""Which values are secret, and what is shown instead (B-14).

A property is secret by its name, whatever its case and spelling; everything below it is. User
information in URLs, `password=…` in connection strings and `Authorization: …` are secret wherever
they stand. References to environment variables and secrets are names, not secrets, and stay
readable; a default value inside one is masked where a value would be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from draas.model.references import reference, shown

MASK = "***"

_WORDS = re.compile(
    "passw|passphrase|pwd|secret|token|credential|authorization|cookie|connectionstring|connstr"
    "|basicauth|authheader"
    "|(?:api|access|account|shared|private|signing|encryption|sas|master|subscription|hmac)key"
    "|(?:functions|storage|auth|client)key$|jwt$|^sig$"
    "|(?:^|db|user|admin|root|login|auth|smtp|mail|ftp|mqtt|sql|redis)pass$"
)
_HARMLESS = {"secretstore", "secretstores", "tokenurl", "tokenendpoint", "maxtokens"}
_KEY_OR_COLUMN = {"primarykey", "secondarykey"}
_KEY = re.compile(r"[A-Za-z0-9+/_=-]{32,}")
"""What keys of cloud services look like, and names of columns do not."""
_WORD = re.compile(r"\S+")
_NAMES = (
    r"(?:password|passwd|passphrase|pwd|secret|token|signature|\bsig"
    r"|(?:\b|_|db|user)pass|(?:api|access|account)[_-]?key)"
)
_ASSIGNED = re.compile(
    # With blanks `a.token = b.token` would be a secret too, in half of all queries.
    rf"(?i)({_NAMES}=[ \t]*|(?<!\.){_NAMES}[ \t]+=(?!=)[ \t]*)"
    r"(?:\"[^\"]*\"|'[^']*'|\{(?:[^}]|\}\}){0,256}\}|[^\s;&]+)"
)
_SAID = re.compile(
    r"(?i)(authorization[\"']?[ \t]*:[ \t]*[\"']?(?:(?:bearer|basic|digest)[ \t]+)?|\bbearer[ \t]+)"
    r"[^\s\"',;]+"
)
_LABELS = ("name", "key", "header")
_LABELLED = ("value", "values")


def is_secret(name: str) -> bool:
    """Whether a property of this name holds a secret: `password`, `Api-Key`, `client_secret`…"""
    return _is_secret(_plain(name))


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _is_secret(plain: str) -> bool:
    return _WORDS.search(plain) is not None and plain not in _HARMLESS


def _holds_secret(name: str, value: Any) -> bool:
    """Whether the name says so, or leaves it to the value."""
    plain = _plain(name)
    if plain in _KEY_OR_COLUMN:
        return isinstance(value, str) and _KEY.fullmatch(value) is not None
    if plain == "auth":
        return isinstance(value, str | list)  # an object says by its own names what is secret
    return _is_secret(plain)


def mask(document: Any) -> Any:
    """A copy of the JSON value with every secret replaced by `***`; its structure is kept."""
    return _masked(document, False)


def masked(value: Any, path: Iterable[str]) -> Any:
    """`mask` for a value that stands at `path`, the property names above it."""
    names = list(path)
    secret = any(map(is_secret, names)) or (bool(names) and _holds_secret(names[-1], value))
    return _masked(value, secret)


def _masked(value: Any, secret: bool) -> Any:
    if isinstance(value, str):
        return _masked_text(value, secret)
    if isinstance(value, Mapping):
        if secret and reference(value) is not None:
            keep = ("kind", "name")
            return {key: member if key in keep else MASK for key, member in value.items()}
        labelled = any(
            isinstance(label, str) and key.lower() in _LABELS and is_secret(label)
            for key, label in value.items()
        )
        return {
            key: _masked(
                member,
                secret or _holds_secret(key, member) or (labelled and key.lower() in _LABELLED),
            )
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
    if "=" in text:
        text = _ASSIGNED.sub(rf"\1{MASK}", text)
    said = text.lower()
    if "authorization" in said or "bearer" in said:
        text = _SAID.sub(rf"\1{MASK}", text)
    return text


def _without_user_info(word: re.Match[str]) -> str:
    """Everything up to the last @ goes, because a password may hold any character."""
    text = word.group()
    start, end = text.find("://"), text.rfind("@")
    return f"{text[: start + 3]}{MASK}{text[end:]}" if 0 <= start < end else text
