"""`draas promote`, `draas pause`, `draas resume` and `draas abort`."""

from __future__ import annotations

import getpass

from draas.cli import output
from draas.cli.exit_codes import Code
from draas.cli.output import Format, Told
from draas.cli.session import Session


async def ask(
    session: Session, instance_id: str, wish: str, reason: str, by: str | None, form: Format
) -> Code:
    """Ask it of the operation under way, whose next step obeys."""
    who = by or getpass.getuser()
    answer = await session.daemon.take_in_hand(instance_id, wish, reason, who)
    operation = answer["operation"]
    stands = f"{operation['strategy']} at {operation['phase']}"
    data = {"id": instance_id, "result": wish, "operation": operation}
    output.told(Told(f"{instance_id}: {stands} is told to {wish}", data), form)
    return Code.OK
