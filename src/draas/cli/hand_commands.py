"""The commands of `draas` by which people take an operation under way in hand."""

from __future__ import annotations

import typer

from draas.cli.app import app, run
from draas.cli.approval_commands import By, Reason
from draas.cli.arguments import Id, Output
from draas.cli.output import Format


@app.command()
def promote(
    context: typer.Context,
    instance_id: Id,
    reason: Reason = "",
    by: By = None,
    output: Output = Format.TABLE,
) -> None:
    """Let the step that is judged now count as passed, unless it fails."""
    _ask(context, instance_id, "promote", reason, by, output)


@app.command()
def pause(
    context: typer.Context,
    instance_id: Id,
    reason: Reason = "",
    by: By = None,
    output: Output = Format.TABLE,
) -> None:
    """Go no step on with a roll-out; it is watched all the same."""
    _ask(context, instance_id, "pause", reason, by, output)


@app.command()
def resume(
    context: typer.Context,
    instance_id: Id,
    reason: Reason = "",
    by: By = None,
    output: Output = Format.TABLE,
) -> None:
    """Go on with a roll-out that was paused."""
    _ask(context, instance_id, "resume", reason, by, output)


@app.command()
def abort(
    context: typer.Context,
    instance_id: Id,
    reason: Reason = "",
    by: By = None,
    output: Output = Format.TABLE,
) -> None:
    """Take back what is under way; it is not tried again until it is released."""
    _ask(context, instance_id, "abort", reason, by, output)


def _ask(
    context: typer.Context, instance_id: str, wish: str, reason: str, by: str | None, output: Format
) -> None:
    from draas.cli import hand

    run(context, lambda session: hand.ask(session, instance_id, wish, reason, by, output))
