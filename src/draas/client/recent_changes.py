"""The source document's `recent-changes`, read so that each change is told once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from draas.client.answers import is_id
from draas.client.http import HttpClient
from draas.client.port import GarbageError, RefusedError
from draas.contract import routes
from draas.model.status import InstanceStatus

BAD_REQUEST = 400
EARLIEST = "2000-01-01T00:00:00Z"
"""Before everything that a server keeps: some tell only of the last minutes if not asked so."""


class RecentChange(NamedTuple):
    """A change of a status; `at` is the server's own text, empty where that is no time."""

    instance_id: str
    at: str
    old: InstanceStatus
    new: InstanceStatus


class RecentChanges:
    """What is new since the last question. The cursor is a time that the server gave (B-32, B-34).

    What the server tells again is not told again, whatever it makes of `since`.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._told: set[tuple[str, ...]] = set()

    async def after(self, cursor: str) -> tuple[list[RecentChange], str]:
        """The changes since the cursor, and the next one, which is never an earlier one."""
        items = await self._since(cursor)
        since = _instant(cursor)
        fresh, newest = [], (since, cursor)
        for item in items:
            at = _instant(item.get("timestamp"))
            if _key(item) in self._told or (at and since and at < since):
                continue
            fresh.append(_change(item, is_timed=at is not None))
            if at and (newest[0] is None or at > newest[0]):
                newest = at, item["timestamp"]
        self._told = {_key(item) for item in items}
        return fresh, newest[1]

    async def overwritten(self) -> dict[str, InstanceStatus]:
        """The status of each instance that the last change of its configuration took the place of.

        As far as the server still knows; this is no answer to `after`.
        """
        found = [_change(item, is_timed=False) for item in await self._since(EARLIEST)]
        changed = InstanceStatus.CONFIGURATION_CHANGED
        return {each.instance_id: each.old for each in found if each.new is changed}

    async def _since(self, cursor: str) -> list[Mapping[str, Any]]:
        try:
            params = {"since": cursor} if cursor else {}
            answer = await self._http.request("GET", routes.RECENT_CHANGES, params=params)
        except RefusedError as error:
            if not cursor or error.status != BAD_REQUEST:
                raise
            answer = await self._http.request("GET", routes.RECENT_CHANGES)
        body = answer.salvaged()
        if not isinstance(body, list):
            raise GarbageError("the recent changes are not an array")
        return [item for item in body if isinstance(item, dict) and is_id(item.get("instanceId"))]


def known_status(value: Any) -> InstanceStatus:
    """The status that a name or a number stands for; Unknown for anything else."""
    return _parsed(value) if isinstance(value, str | int) else InstanceStatus.UNKNOWN


@lru_cache(maxsize=64, typed=True)
def _parsed(value: str | int) -> InstanceStatus:
    return InstanceStatus.parse_or_unknown(value)


def _change(item: Mapping[str, Any], *, is_timed: bool) -> RecentChange:
    return RecentChange(
        instance_id=item["instanceId"],
        at=item["timestamp"] if is_timed else "",
        old=known_status(item.get("oldStatus")),
        new=known_status(item.get("newStatus")),
    )


def _key(item: Mapping[str, Any]) -> tuple[str, ...]:
    at = item.get("timestamp")
    new = known_status(item.get("newStatus"))
    return item["instanceId"], at if isinstance(at, str) else "", new.value


def _instant(text: Any) -> datetime | None:
    """The time that a text is; one without an offset is taken for UTC."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
