"""`draas`: the commands that talk to a running fleet, and those that run one."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from draas.cli import (  # noqa: F401 - they add their commands
    approval_commands,
    change_commands,
    hand_commands,
)
from draas.cli.app import app

_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
_DATA = Path(".draas")
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE)

Data = Annotated[Path, typer.Option(help="Folder for everything that is kept.", file_okay=False)]
ConfigDir = Annotated[
    Path, typer.Option(help="Folder of appsettings.json.", exists=True, file_okay=False)
]
CheckConfig = Annotated[
    bool, typer.Option("--check-config", help="Only check and show the settings.")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[str | None, typer.Option(help="Port to listen on; 0 takes a free one.")]


@app.command("control-plane", context_settings=_SETTINGS)
def control_plane(
    context: typer.Context,
    data: Data = _DATA,
    port: Port = None,
    host: Host = None,
    config_dir: ConfigDir = Path(),
    check_config: CheckConfig = False,
) -> None:
    """Run the control plane; any setting as --Section:Key=value."""
    from draas.entrypoints import serve

    arguments = [*context.args, *serve.listening("Api", host, port)]
    raise typer.Exit(serve.control_plane(data, config_dir, arguments, check_config))


@app.command("daemon", context_settings=_SETTINGS)
def daemon(
    context: typer.Context,
    data: Data = _DATA,
    port: Port = None,
    host: Host = None,
    config_dir: ConfigDir = Path(),
    check_config: CheckConfig = False,
) -> None:
    """Run the reconciliation daemon; any setting as --Section:Key=value."""
    from draas.entrypoints import serve

    arguments = [*context.args, *serve.listening("Management", host, port)]
    raise typer.Exit(serve.daemon(data, config_dir, arguments, check_config))


@app.command("up", context_settings=_SETTINGS)
def up(
    context: typer.Context,
    data: Data = _DATA,
    control_plane_port: Annotated[
        str | None, typer.Option(help="Port of the control plane; 0 takes a free one.")
    ] = None,
    daemon_port: Annotated[
        str | None, typer.Option(help="Port of the daemon; 0 takes a free one.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="With three servers, and a look at how they heal.")
    ] = False,
    leave_running: Annotated[
        bool, typer.Option("--leave-running", help="Leave the servers running at the end.")
    ] = False,
    config_dir: ConfigDir = Path(),
    check_config: CheckConfig = False,
) -> None:
    """Run control plane and daemon in the foreground; any setting as --Section:Key=value."""
    from draas.entrypoints import serve
    from draas.entrypoints.up.foreground import Options
    from draas.entrypoints.up.foreground import up as run

    options = Options(
        data=data,
        config_dir=config_dir,
        check_only=check_config,
        demo=demo,
        leave_running=leave_running,
        settings=(
            *context.args,
            *serve.listening("Api", None, control_plane_port),
            *serve.listening("Management", None, daemon_port),
        ),
    )
    raise typer.Exit(run(options))


def main() -> None:
    """The program `draas`; what cannot be written is told, or nothing where nobody reads on."""
    try:
        try:
            app(prog_name="draas")
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        # What is left in the buffer must not be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            print(f"draas: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
