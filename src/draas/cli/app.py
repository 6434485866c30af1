"""The commands of `draas` and their options; what they do is imported when they are called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from draas.cli.addresses import CONTROL_PLANE, DAEMON, Addresses
from draas.cli.exit_codes import HELP, Code
from draas.cli.output import AuditFormat, Format, ListFormat
from draas.contract.urls import are_base_urls

if TYPE_CHECKING:
    from draas.cli.session import Session

app = typer.Typer(
    name="draas",
    help="Fleets of Drasi servers that stay at their desired configuration.",
    epilog=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The instance's id.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of instances.")]
MaybeId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The instance's id.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="Form of the output.")]


@app.callback()
def addresses(
    context: typer.Context,
    control_plane: Annotated[
        str,
        typer.Option(
            envvar="DRAAS_CONTROL_PLANE_URL",
            help="URL of the control plane; several with commas between.",
        ),
    ] = CONTROL_PLANE,
    daemon: Annotated[
        str,
        typer.Option(
            envvar="DRAAS_DAEMON_URL", help="URL of the reconciliation daemon; or several."
        ),
    ] = DAEMON,
) -> None:
    """Where the two processes are."""
    for name, url in (("--control-plane", control_plane), ("--daemon", daemon)):
        if not are_base_urls(url):
            raise typer.BadParameter(f"{url!r} is no URL; write http://HOST:PORT", param_hint=name)
    context.obj = Addresses(control_plane, daemon)


def run(context: typer.Context, work: Callable[[Session], Awaitable[Code]]) -> None:
    """Do a command's work and end with its exit code."""
    from draas.cli.session import talk

    raise typer.Exit(talk(context.obj, work))


@app.command()
def get(
    context: typer.Context,
    instance_id: MaybeId = None,
    output: Annotated[
        ListFormat, typer.Option("--output", "-o", help="Form of the output.")
    ] = ListFormat.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Print again at each change.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="K=V", help="Only those with the label; repeatable."),
    ] = None,
) -> None:
    """Show instances; with an ID also its configuration (json, yaml)."""
    from draas.cli import show

    run(context, lambda session: show.get(session, instance_id, output, watch, label or []))


@app.command()
def apply(
    context: typer.Context,
    file: Annotated[
        str, typer.Option("--file", "-f", metavar="FILE", help="YAML or JSON; - is stdin.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Create or change instances, so that they are as a file says."""
    from draas.cli import apply as command

    run(context, lambda session: command.apply(session, file, dry_run, output))


@app.command()
def patch(
    context: typer.Context,
    instance_id: Id,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Such as port=9090 or 'queries[open-orders].query=MATCH …'; repeatable. "
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
) -> None:
    """Change an instance's configuration; the daemon brings the server to it."""
    from draas.cli import change

    run(context, lambda session: change.patch(session, instance_id, assignments, operations, file))


@app.command()
def start(context: typer.Context, instance_ids: Ids) -> None:
    """Start instances and want them running from now on."""
    _lifecycle(context, instance_ids, "start")


@app.command()
def stop(context: typer.Context, instance_ids: Ids) -> None:
    """Stop instances; they stay stopped until they are started."""
    _lifecycle(context, instance_ids, "stop")


@app.command()
def restart(context: typer.Context, instance_ids: Ids) -> None:
    """Stop instances and start them with their desired configuration."""
    _lifecycle(context, instance_ids, "restart")


def _lifecycle(context: typer.Context, instance_ids: list[str], action: str) -> None:
    from draas.cli import change

    run(context, lambda session: change.lifecycle(session, instance_ids, action))


@app.command()
def delete(
    context: typer.Context,
    instance_ids: Ids,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop instances and forget them with their configurations."""
    from draas.cli import change

    change.require_consent(instance_ids, yes)
    run(context, lambda session: change.delete(session, instance_ids))


@app.command()
def drift(
    context: typer.Context, instance_id: MaybeId = None, output: Output = Format.TABLE
) -> None:
    """Show drift; exit code 2 if there is any, 3 if something is unknown, 0 if all is in sync."""
    from draas.cli import drift as command

    run(context, lambda session: command.drift(session, instance_id, output))


@app.command()
def explain(context: typer.Context, instance_id: Id, output: Output = Format.TABLE) -> None:
    """Say what the daemon thinks of an instance: drift, gates, plan, next look."""
    from draas.cli import drift as command

    run(context, lambda session: command.explain(session, instance_id, output))


@app.command()
def reconcile(
    context: typer.Context,
    instance_id: Id,
    strategy: Annotated[str | None, typer.Option(help="Instead of the usual one.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is in sync or held.")] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long --wait waits.")
    ] = 300,
    allow_state_loss: Annotated[
        bool, typer.Option("--allow-state-loss", help="Queries may begin empty in a second slot.")
    ] = False,
) -> None:
    """Have the daemon look at an instance now, without waiting for back-off."""
    from draas.cli import reconcile as command

    run(
        context,
        lambda session: command.reconcile(
            session, instance_id, strategy, dry_run, wait, timeout, allow_state_loss
        ),
    )


@app.command()
def release(
    context: typer.Context,
    instance_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The instance's id, or a roll-out's digest (sha256:…) for all."
        ),
    ],
) -> None:
    """Lift the quarantine of a configuration that failed, so that it is tried again."""
    from draas.cli import reconcile as command

    run(context, lambda session: command.release(session, instance_id))


@app.command()
def audit(
    context: typer.Context,
    instance_id: MaybeId = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, max=1000, help="Newest entries only.")
    ] = None,
    output: Annotated[
        AuditFormat,
        typer.Option("--output", "-o", help="ndjson is the whole audit, unless --limit is given."),
    ] = AuditFormat.TABLE,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that nothing in it was changed.")
    ] = False,
) -> None:
    """Show what was done and why, newest first."""
    from draas.cli import audit as command

    run(context, lambda session: command.audit(session, instance_id, limit, output, verify))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as of

    typer.echo(f"draas {of('draas')}")
