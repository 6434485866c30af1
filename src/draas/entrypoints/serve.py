"""Runs one of the two processes: settings, logs, event loop, and errors in one line."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from draas.adapters.machine.ports import bind_fault
from draas.control_plane.options import ControlPlaneSettings
from draas.reconciliation.options import DaemonSettings, load_daemon_settings
from draas.settings import SettingsError, load
from draas.settings.binding import own_words
from draas.settings.convert import show
from draas.settings.schema import describe, pascal
from draas.settings.sources import misspelt
from draas.telemetry.levels import LoggingSettings

FAILED = 1
BAD_SETTINGS = 2

Settings = TypeVar("Settings", ControlPlaneSettings, DaemonSettings)


def listening(section: str, host: str | None, port: str | None) -> list[str]:
    """`--host` and `--port` as settings of a section; what comes last on a command line counts."""
    given = {"Host": host, "Port": port}
    return [f"--{section}:{key}={value}" for key, value in given.items() if value is not None]


def load_control_plane(directory: Path, arguments: Sequence[str]) -> ControlPlaneSettings:
    """The control plane's settings; those of the daemon may stand beside them."""
    return load(
        ControlPlaneSettings,
        directory=directory,
        arguments=arguments,
        also={"the daemon": DaemonSettings},
    )


def load_daemon(directory: Path, arguments: Sequence[str]) -> DaemonSettings:
    """The daemon's settings; those of the control plane may stand beside them."""
    also = {"the control plane": ControlPlaneSettings}
    return load_daemon_settings(directory, None, arguments, also=also)


def divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line for both: the words for the control plane, and those for the daemon."""
    return (
        own_words(arguments, ControlPlaneSettings, DaemonSettings),
        own_words(arguments, DaemonSettings, ControlPlaneSettings),
    )


def load_both(
    directory: Path, arguments: Sequence[str]
) -> tuple[ControlPlaneSettings, DaemonSettings]:
    """The settings of both, by one command line.

    Raises:
        SettingsError: with the faults of both; what neither knows is said once.
    """
    faults: dict[str, str] = {}
    for_plane, for_daemon = divided(arguments)
    for read, words in ((load_control_plane, for_plane), (load_daemon, for_daemon)):
        try:
            read(directory, words)
        except SettingsError as error:
            faults |= {line.partition(": ")[0]: line for line in error.faults}
    if faults:
        raise SettingsError(list(faults.values()))
    return load_control_plane(directory, for_plane), load_daemon(directory, for_daemon)


def warn_of_misspelt(command: str) -> None:
    """Tell of variables that nobody will read and somebody meant, a line each."""
    known = (*describe(ControlPlaneSettings), *describe(DaemonSettings))
    for line in misspelt(os.environ, known):
        print(f"draas {command}: {line}", file=sys.stderr)


def control_plane(data: Path, directory: Path, arguments: Sequence[str], check_only: bool) -> int:
    """Run the control plane until a signal; the exit code."""
    settings = _settings("control-plane", lambda: load_control_plane(directory, arguments))
    if isinstance(settings, int) or check_only:
        return _checked(settings)
    if not _can_listen("control-plane", settings.api.host, settings.api.port):
        return FAILED
    from draas.control_plane.store import StoreError
    from draas.entrypoints.control_plane import run

    return _run("control-plane", settings.logging, run(settings, data), StoreError)


def daemon(data: Path, directory: Path, arguments: Sequence[str], check_only: bool) -> int:
    """Run the daemon until a signal; the exit code."""
    settings = _settings("daemon", lambda: load_daemon(directory, arguments))
    if isinstance(settings, int) or check_only:
        return _checked(settings)
    if not _can_listen("daemon", settings.management.host, settings.management.port):
        return FAILED
    from draas.entrypoints.daemon import run
    from draas.reconciliation.store import StoreError

    return _run("daemon", settings.logging, run(settings, data), StoreError)


def _run(
    command: str,
    logging: LoggingSettings,
    work: Coroutine[Any, Any, int],
    store_error: type[Exception],
) -> int:
    """Run one of the two on uvloop; what its surroundings refuse is said in one line."""
    import uvloop

    from draas.adapters.store.engine import DatabaseError, SchemaError
    from draas.entrypoints.exclusive import AlreadyRunningError
    from draas.telemetry.logs import configure

    configure(logging, sys.stdout)
    try:
        return uvloop.run(work)
    except (AlreadyRunningError, DatabaseError, SchemaError, store_error, OSError) as error:
        return fault(command, error)


def fault(command: str, error: object) -> int:
    """Say in one line why a command cannot run; its exit code."""
    print(f"draas {command}: {error}", file=sys.stderr)
    return FAILED


def bad_settings(command: str, faults: Sequence[str]) -> int:
    """One line for each fault of the settings; the exit code."""
    for line in faults:
        print(f"draas {command}: {line}", file=sys.stderr)
    return BAD_SETTINGS


def effective(settings: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Each setting as `Section:Key=value`; secrets are masked."""
    for each in dataclasses.fields(settings):  # type: ignore[arg-type]
        here = (*path, pascal(each.name))
        value = getattr(settings, each.name)
        if dataclasses.is_dataclass(value):
            yield from effective(value, here)
            continue
        for name, single in _entries(value):
            hidden = each.metadata.get("secret") and single
            yield f"{':'.join((*here, *name))}={'***' if hidden else show(single)}"


def _entries(value: Any) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        return [((key,), each) for key, each in value.items()]
    if isinstance(value, tuple):
        return [((str(index),), each) for index, each in enumerate(value)]
    return [((), value)]


def _settings(command: str, read: Callable[[], Settings]) -> Settings | int:
    warn_of_misspelt(command)
    try:
        return read()
    except SettingsError as error:
        return bad_settings(command, error.faults)


def _checked(settings: object) -> int:
    return settings if isinstance(settings, int) else shown(effective(settings))


def shown(lines: Iterable[str]) -> int:
    """Print the settings, each once, and that they are valid; the exit code."""
    for line in dict.fromkeys(lines):
        print(line)
    print("settings are valid")
    return 0


def _can_listen(command: str, host: str, port: int) -> bool:
    why = bind_fault(host, port) if port else None
    if why is not None:
        fault(command, f"{why} (--host, --port)")
    return why is None
