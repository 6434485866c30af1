"""Who works on what: a fixed number of shards, dealt to the live members by rendezvous hashing.

Each name goes to the member with the highest hash of both (Thaler and Ravishankar, 1998): every
member comes to the same answer alone, and who comes or goes moves only its own share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

SHARDS = 64
"""Never to be changed: fences are kept by shard, and every replica must count alike."""
FLEET = "fleet"
"""The name of what one member does for all: the fleet's guard, and retention."""


def shard_of(instance_id: str) -> int:
    """The shard of an instance, from 0 to SHARDS - 1."""
    return int.from_bytes(hashlib.sha256(instance_id.encode()).digest()[:8]) % SHARDS


def shard_name(shard: int) -> str:
    """The name under which a shard is leased."""
    return f"shard/{shard:02}"


NAMES = {shard_name(shard): shard for shard in range(SHARDS)}
"""All shards by name."""


def assignment(names: Collection[str], members: Collection[str]) -> dict[str, str]:
    """Which member should hold each name; nothing where there are no members."""
    if not members:
        return {}
    return {name: max(members, key=lambda member: _weight(member, name)) for name in names}


def _weight(member: str, name: str) -> bytes:
    return hashlib.sha256(f"{member}\0{name}".encode()).digest()
