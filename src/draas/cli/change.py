"""`draas patch`, `start`, `stop`, `restart` and `delete`."""

from __future__ import annotations

import json
import sys
from typing import Any

from draas.cli import output
from draas.cli.assignments import operations as assigned
from draas.cli.exit_codes import Code, CommandError
from draas.cli.files import documents
from draas.cli.output import Format, Told
from draas.cli.session import Session, progress, say
from draas.client.port import RefusedError

TRIES = 3
"""How often assignments are made anew when somebody else changes the configuration meanwhile."""

_DOING = {"start": "Starting", "stop": "Stopping", "restart": "Restarting"}


async def patch(
    session: Session,
    instance_id: str,
    assignments: list[str] | None,
    text: str | None,
    file: str | None,
    form: Format,
) -> Code:
    """Change a configuration by assignments, or by a JSON Patch as text or in a file."""
    given = [each for each in (assignments, text, file) if each]
    if len(given) != 1:
        raise CommandError("give one of --set, --patch and --file", Code.USAGE)
    before = await session.control_plane.instance(instance_id)
    if assignments:
        generation = await _assign(session, instance_id, assignments)
    else:
        generation = await session.control_plane.patch(instance_id, _operations(text, file))
    result = "unchanged" if generation == before.get("generation") else "configured"
    data = {"id": instance_id, "result": result, "generation": generation}
    output.told(Told(f"{instance_id} {result} (generation {generation})", data), form)
    if result == "configured" and before.get("desiredRunState") == "Stopped":
        say(f"{instance_id} is stopped: it gets the configuration when it is started")
    return Code.OK


async def _assign(session: Session, instance_id: str, assignments: list[str]) -> int:
    for tried in range(1, TRIES + 1):
        document, etag = await session.control_plane.configuration(instance_id)
        made = assigned(assignments, document)
        try:
            return await session.control_plane.patch(instance_id, made, etag)
        except RefusedError as error:
            if error.kind != "precondition-failed" or tried == TRIES:
                raise
    raise AssertionError("unreachable")


def _operations(text: str | None, file: str | None) -> Any:
    if text is not None:
        try:
            return json.loads(text)
        except ValueError as error:
            raise CommandError(f"--patch is no JSON: {error}", Code.USAGE) from error
    assert file is not None
    found = documents(file)
    if len(found) != 1:
        raise CommandError(f"{file} must hold one JSON Patch, not {len(found)}", Code.USAGE)
    return found[0]


async def lifecycle(session: Session, instance_ids: list[str], action: str, form: Format) -> Code:
    """Start, stop or restart instances, one after the other."""

    async def one(instance_id: str) -> Told:
        async with progress(f"{_DOING[action]} {instance_id}"):
            done = await session.control_plane.lifecycle(instance_id, action)
        port = done.get("port") if action != "stop" else None
        where = f" on port {port}" if port else ""
        changed, status = bool(done.get("changed", True)), done.get("status")
        line = f"{instance_id} is{'' if changed else ' already'} {status}{where}"
        return Told(
            line, {"id": instance_id, "result": status, "changed": changed, "port": port or None}
        )

    return await session.for_each(instance_ids, one, form)


def require_consent(instance_ids: list[str], yes: bool) -> None:
    """Ask before anything is deleted; where nobody can be asked, refuse.

    Raises:
        SystemExit: no consent.
    """
    if yes:
        return
    what = ", ".join(instance_ids)
    if not sys.stdin.isatty():
        say(f"delete {what}: nobody can be asked here; say --yes")
        raise SystemExit(Code.USAGE)
    if input(f"Stop and forget {what}, with configuration and history? [y/N] ").lower() != "y":
        say("nothing was deleted")
        raise SystemExit(Code.FAILED)


async def delete(session: Session, instance_ids: list[str], form: Format) -> Code:
    """Delete instances, one after the other."""

    async def one(instance_id: str) -> Told:
        async with progress(f"Deleting {instance_id}"):
            await session.control_plane.delete(instance_id)
        return Told(f"{instance_id} deleted", {"id": instance_id, "result": "deleted"})

    return await session.for_each(instance_ids, one, form)
