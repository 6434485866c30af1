"""Follows the chain of the audit page by page: nobody waits for the whole of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from draas.adapters.store.reconciliation_tables import AUDIT, CHAIN
from draas.model.audit import broken_at
from draas.reconciliation.store import AuditVerdict

PAGE = 1_000
"""Entries that are read in one transaction; their hashes are made outside of it, in a thread."""

Transaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


async def verified(transaction: Transaction) -> AuditVerdict:
    """Whether the chain holds, also while entries are added and old ones expire."""
    while True:
        anchor = await _anchor(transaction)
        verdict = await _followed(transaction, anchor)
        if verdict.intact or anchor == await _anchor(transaction):
            return verdict


async def _followed(transaction: Transaction, previous: str) -> AuditVerdict:
    at = checked = 0
    while True:
        async with transaction() as connection:
            later = sa.select(AUDIT.c.sequence, AUDIT.c.document).where(AUDIT.c.sequence > at)
            rows = await connection.execute(later.order_by(AUDIT.c.sequence).limit(PAGE))
            page = [(sequence, document) for sequence, document in rows]
            last, head = await _end(connection, "head")
        if not page:
            if previous == head:
                return AuditVerdict(True, checked)
            return AuditVerdict(False, checked, last, "the newest entries are missing")
        broken, at, previous = await asyncio.to_thread(_page, page, previous, at)
        if broken is not None:
            return AuditVerdict(False, checked, broken, "this entry was changed or moved")
        checked += len(page)


def _page(page: Sequence[tuple[int, str]], previous: str, at: int) -> tuple[int | None, int, str]:
    """The first broken entry of a page, or `None`; the number and the hash of its last one."""
    for sequence, text in page:
        try:
            document = json.loads(text)
            broken = broken_at([document], previous, at + 1 if at else None)
            previous = document["hash"]
        except (ValueError, LookupError, TypeError):
            broken = sequence
        if broken is not None:
            return broken, at, previous
        at = sequence
    return None, at, previous


async def _anchor(transaction: Transaction) -> str:
    async with transaction() as connection:
        return (await _end(connection, "anchor"))[1]


async def _end(connection: AsyncConnection, name: str) -> tuple[int, str]:
    row = (await connection.execute(sa.select(CHAIN).where(CHAIN.c.name == name))).one()
    return row.sequence, row.hash
