"""The commands of `draas` and their options; what they do is imported when they are called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from draas.cli.addresses import CONTROL_PLANE, DAEMON, Addresses
from draas.cli.arguments import Id, MaybeId, Output, form_option
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


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


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
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
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
    output: Annotated[ListFormat, form_option(ListFormat)] = ListFormat.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Print again at each change.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="K=V", help="Only those with the label; repeatable."),
    ] = None,
    configurations: Annotated[
        bool, typer.Option("--configurations", help="With configurations, as apply takes them.")
    ] = False,
) -> None:
    """Show instances; with an ID also its configuration (json, yaml)."""
    from draas.cli import show

    wanted = show.Wanted(instance_id, label or [], output, configurations)
    run(context, lambda session: show.get(session, wanted, watch))


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
def drift(
    context: typer.Context,
    instance_id: MaybeId = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only these: in-sync, drifted or unknown.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only with this kind of drift, such as configuration.")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="Only those that this gate holds, such as approval.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show drift; exit code 2 if there is any, 3 if something is unknown, 0 if all is in sync."""
    from draas.cli import drift as command
    from draas.client.daemon import Drifting

    which = Drifting(verdict, kind, gate)
    run(context, lambda session: command.drift(session, instance_id, which, output))


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
    output: Output = Format.TABLE,
) -> None:
    """Have the daemon look at an instance now, without waiting for back-off."""
    from draas.cli import reconcile as command

    order = command.Order(instance_id, strategy, dry_run, allow_state_loss)
    patience = timeout if wait else None
    run(context, lambda session: command.reconcile(session, order, patience, output))


@app.command()
def release(
    context: typer.Context,
    instance_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The instance's id, or a roll-out's digest (sha256:…) for all."
        ),
    ],
    output: Output = Format.TABLE,
) -> None:
    """Lift the quarantine of a configuration that failed, so that it is tried again."""
    from draas.cli import reconcile as command

    run(context, lambda session: command.release(session, instance_id, output))


@app.command()
def audit(
    context: typer.Context,
    instance_id: MaybeId = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, max=1000, help="Newest entries only.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From then on, as 2026-01-31T12:00.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before then.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Only with this outcome, such as failed.")
    ] = None,
    operation: Annotated[
        str | None, typer.Option(metavar="ID", help="Only of this operation.")
    ] = None,
    output: Annotated[
        AuditFormat, form_option(AuditFormat, "ndjson is the whole audit, unless --limit is given.")
    ] = AuditFormat.TABLE,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that nothing in it was changed.")
    ] = False,
) -> None:
    """Show what was done and why, newest first."""
    from draas.cli import audit as command
    from draas.client.daemon import Entries

    which = Entries(
        instance_id=instance_id,
        outcome=outcome,
        operation_id=operation,
        since=command.moment("--since", since),
        until=command.moment("--until", until),
        limit=limit,
    )
    run(context, lambda session: command.audit(session, which, output, verify))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as of

    typer.echo(f"draas {of('draas')}")
