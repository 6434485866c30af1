"""Asks a slot itself how it is: its port, `/health`, its sources and queries (R-135)."""

from __future__ import annotations

from typing import Any

import aiohttp

from draas.adapters.candidates.address import Address, NoAnswerError, address
from draas.contract.drasi_server import HEALTH_PATH, INTERNAL_PREFIX
from draas.decide.health import Probed
from draas.model.slots import Slot

SECONDS = 5.0


async def probe(session: aiohttp.ClientSession, instance_id: str, slot: Slot) -> Probed:
    """What it answers; whatever goes wrong is told in the value."""
    there = address(session, slot)
    try:
        status, _ = await there.get(HEALTH_PATH, SECONDS)
    except NoAnswerError as error:
        return Probed(error.listens, False if error.listens else None, str(error))
    if status != 200:
        return Probed(True, False, f"{HEALTH_PATH} answers {status}")
    try:
        sources = await _statuses(there, instance_id, "/sources")
        queries = await _statuses(there, instance_id, "/queries")
    except NoAnswerError as error:
        return Probed(True, True, str(error))
    return Probed(True, True, "", sources, queries)


async def _statuses(there: Address, instance_id: str, path: str) -> dict[str, str]:
    listed = await there.data(instance_id, path, SECONDS)
    if not isinstance(listed, list) or not all(map(_is_component, listed)):
        raise NoAnswerError(f"GET {path} answered no list of components", listens=True)
    own = (each for each in listed if not each["id"].startswith(INTERNAL_PREFIX))
    return {each["id"]: each["status"] for each in own}


def _is_component(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("id"), str)
        and isinstance(item.get("status"), str)
    )
