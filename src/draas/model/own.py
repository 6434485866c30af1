"""What of a configuration is an instance's own: where it listens, and its names elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from draas.model.canonical import Configuration

LISTENING = {"sources": ("http",), "reactions": ("sse",)}
"""Kinds of components that listen at a host and port of their own."""
REGISTERED: Mapping[str, Mapping[str, str]] = {
    "postgres": {"slotName": "drasi_slot", "publicationName": "drasi_publication"},
}
"""Source kinds that read for themselves, with what names them at the database and its default."""


def without_own(form: Mapping[str, Any]) -> Configuration:
    """A normal form without what differs between instances that are meant to be alike.

    That is the server's id, host and port, host and port of components that listen, and the names
    of sources at their databases.
    """
    rest = {name: value for name, value in form.items() if name not in ("id", "host", "port")}
    for part, kinds in LISTENING.items():
        rest[part] = [_component(each, kinds) for each in form[part]]
    return rest


def _component(component: Mapping[str, Any], listening: tuple[str, ...]) -> Configuration:
    kind = component.get("kind")
    own = {"host", "port"} if kind in listening else set(REGISTERED.get(str(kind), ()))
    return {name: value for name, value in component.items() if name not in own}
