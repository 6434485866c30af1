"""`draas promote`, `draas pause`, `draas resume` and `draas abort`."""

from __future__ import annotations

import getpass

from draas.cli.exit_codes import Code
from draas.cli.session import Session
from draas.cli.text import printable


async def ask(session: Session, instance_id: str, wish: str, reason: str, by: str | None) -> Code:
    """Ask it of the operation under way, whose next step obeys."""
    who = by or getpass.getuser()
    answer = await session.daemon.take_in_hand(instance_id, wish, reason, who)
    operation = answer["operation"]
    stands = f"{operation['strategy']} at {operation['phase']}"
    print(printable(f"{instance_id}: {stands} is told to {wish}"))
    return Code.OK
