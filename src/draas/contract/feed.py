"""The change feed and the list that it goes on from."""

from __future__ import annotations

import msgspec

from draas.model.instance import InstanceState

MOST = 1000
"""Changes in one answer, at most."""


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Something that happened to an instance; `state` is how it is now, `None` once deleted.

    `fence` is that of the call that did it, if it had one.
    """

    sequence: int
    kind: str
    instance_id: str
    at: str
    actor: str = ""
    operation_id: str | None = None
    fence: int | None = None
    old_status: str | None = None
    new_status: str | None = None
    source: str = ""
    metadata: dict[str, str] = {}
    state: InstanceState | None = None


class Changes(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An answer of the feed: go on from `cursor`; `gap` means changes were missed: list again.

    `more`: not all there were would fit, ask again at once.
    """

    epoch: str
    cursor: str
    gap: bool
    changes: list[Change]
    more: bool = False


class InstanceStates(msgspec.Struct, frozen=True, rename="camel"):
    """The whole fleet as states; the feed goes on from `cursor` without loss."""

    epoch: str
    cursor: str
    instances: list[InstanceState]


def cursor(epoch: str, sequence: int) -> str:
    """The cursor that stands after `sequence` of `epoch`."""
    return f"{epoch}:{sequence}"


def parse_cursor(text: str) -> tuple[str, int]:
    """The epoch and sequence of a cursor.

    Raises:
        ValueError: the text is not a cursor that this feed gave out.
    """
    epoch, separator, sequence = text.rpartition(":")
    if not separator or not epoch or not (sequence.isascii() and sequence.isdigit()):
        raise ValueError(f"cursor {text!r} is not <epoch>:<sequence>; leave it out to begin now")
    return epoch, int(sequence)
