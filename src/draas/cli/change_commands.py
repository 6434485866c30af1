"""The commands of `draas` by which people change instances that are there."""

from __future__ import annotations

from typing import Annotated

import typer

from draas.cli.app import app, run
from draas.cli.arguments import Id, Output, require_id
from draas.cli.output import Format


def _require_ids(given: list[str]) -> list[str]:
    for each in given:
        require_id(each)
    return given


Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Ids of instances.", callback=_require_ids)
]


@app.command()
def patch(
    context: typer.Context,
    instance_id: Id,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Such as port=9090 or 'queries\\[open-orders].query=MATCH …'; repeatable. "
            "A value is JSON if it can be read as JSON, else text.",
        ),
    ] = None,
    operations: Annotated[
        str | None, typer.Option("--patch", "-p", metavar="JSON", help="A JSON Patch (RFC 6902).")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", metavar="FILE", help="A JSON Patch in a file; - is stdin."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Change an instance's configuration; the daemon brings the server to it."""
    from draas.cli import change

    run(
        context,
        lambda session: change.patch(session, instance_id, assignments, operations, file, output),
    )


@app.command()
def start(context: typer.Context, instance_ids: Ids, output: Output = Format.TABLE) -> None:
    """Start instances and want them running from now on."""
    _lifecycle(context, instance_ids, "start", output)


@app.command()
def stop(context: typer.Context, instance_ids: Ids, output: Output = Format.TABLE) -> None:
    """Stop instances; they stay stopped until they are started."""
    _lifecycle(context, instance_ids, "stop", output)


@app.command()
def restart(context: typer.Context, instance_ids: Ids, output: Output = Format.TABLE) -> None:
    """Stop instances and start them with their desired configuration."""
    _lifecycle(context, instance_ids, "restart", output)


def _lifecycle(
    context: typer.Context, instance_ids: list[str], action: str, output: Format
) -> None:
    from draas.cli import change

    run(context, lambda session: change.lifecycle(session, instance_ids, action, output))


@app.command()
def delete(
    context: typer.Context,
    instance_ids: Ids,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Stop instances and forget them with their configurations."""
    from draas.cli import change

    change.require_consent(instance_ids, yes)
    run(context, lambda session: change.delete(session, instance_ids, output))
