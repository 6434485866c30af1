"""`draas-instance`: one Drasi engine behind drasi-server's command line and REST contract."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from draas.instance_host.server import Options

USAGE = """\
usage: draas-instance --config FILE [--port N] [--plugins-dir DIR]
                      [--follow URL | --restore FILE]

  --config FILE      configuration, JSON or YAML; it must exist
  --port N           serve on this port instead of the file's
  --plugins-dir DIR  load Drasi plugins from here, for kinds that the host lacks
  --follow URL       follow the host of the same instance that serves there
  --restore FILE     begin with the elements of this export, which is then removed
  --help             show this

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 could not start, 2 wrong command line.
"""
USAGE_ERROR = 2


def main() -> None:
    """Run until a signal; never returns, because the engine may crash the interpreter's exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # until the host itself listens to them

    from draas.adapters.clock import SystemClock  # noqa: PLC0415 - what takes time comes second
    from draas.instance_host.server import run  # noqa: PLC0415

    options = parse(sys.argv[1:])
    code = options if isinstance(options, int) else run(options, SystemClock(), os.environ)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def parse(arguments: list[str]) -> Options | int:
    """The options, or an exit code after printing help or a fault.

    Written out, because argparse costs a tenth of the time to the first healthy answer.
    """
    from pathlib import Path  # noqa: PLC0415 - after signals are listened to, see `main`

    from draas.instance_host.server import Options  # noqa: PLC0415

    values: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, joined, value = rest.pop(0).partition("=")
        if name in ("--help", "-h"):
            sys.stdout.write(USAGE)
            return 0
        if name == "-c":
            name = "--config"
        if name not in ("--config", "--port", "--plugins-dir", "--follow", "--restore"):
            return _fault(f"unknown argument {name}")
        if not joined:
            if not rest:
                return _fault(f"{name} needs a value")
            value = rest.pop(0)
        values[name] = value
    port = values.get("--port")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        return _fault(f"--port {port}: must be a whole number from 1 to 65535")
    if not values.get("--config"):
        return _fault("--config FILE is required")
    if "--follow" in values and "--restore" in values:
        return _fault("--follow and --restore: a follower gets its elements from its leader")
    restore = values.get("--restore")
    return Options(
        config=Path(values["--config"]),
        port=None if port is None else int(port),
        plugins_dir=values.get("--plugins-dir"),
        follow=values.get("--follow"),
        restore=None if restore is None else Path(restore),
    )


def _end(number: int, frame: Any) -> None:
    """Nothing has begun that would have to be ended."""
    os._exit(0)


def _fault(message: str) -> int:
    sys.stderr.write(f"draas-instance: {message}\n\n{USAGE}")
    return USAGE_ERROR


if __name__ == "__main__":
    main()
