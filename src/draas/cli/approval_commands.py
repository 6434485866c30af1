"""The commands of `draas` by which people decide on plans."""

from __future__ import annotations

from typing import Annotated

import typer

from draas.cli.app import app, run
from draas.cli.arguments import Id, Output
from draas.cli.output import Format

Plan = Annotated[str, typer.Option("--plan", metavar="DIGEST", help="The plan that you have seen.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who decides; else the user's name.")
]


@app.command()
def approvals(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the plans that wait for a person."""
    from draas.cli import approve as command

    run(context, lambda session: command.approvals(session, output))


@app.command()
def approve(
    context: typer.Context,
    instance_id: Id,
    plan: Plan,
    reason: Reason = "",
    strategy: Annotated[
        str | None, typer.Option(help="How to carry it out, instead of as the settings say.")
    ] = None,
    expires: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="How long it counts.")
    ] = None,
    allow_state_loss: Annotated[
        bool,
        typer.Option("--allow-state-loss", help="Agree that queries may begin empty."),
    ] = False,
    by: By = None,
    output: Output = Format.TABLE,
) -> None:
    """Agree to a plan that waits; any other plan needs another approval."""
    from draas.cli import approve as command

    terms = command.Terms(plan, strategy, reason, expires, allow_state_loss)
    run(context, lambda session: command.approve(session, instance_id, terms, by, output))


@app.command()
def reject(
    context: typer.Context,
    instance_id: Id,
    plan: Plan,
    reason: Reason = "",
    by: By = None,
    output: Output = Format.TABLE,
) -> None:
    """Refuse a plan that waits: it is held until something about it changes."""
    from draas.cli import approve as command

    run(context, lambda session: command.reject(session, instance_id, plan, reason, by, output))
