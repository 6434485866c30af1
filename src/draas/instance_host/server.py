"""From a configuration file to a serving process, and back to nothing on a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from draas.contract.drasi_server import LOG_LEVELS, ROOT_DEFAULTS
from draas.instance_host.config_file import ConfigFile
from draas.instance_host.errors import ApiError, StartError, invalid
from draas.instance_host.values import flag_of, resolve, text_of, whole_of
from draas.model.clock import Clock

if TYPE_CHECKING:
    from draas.instance_host.instance import Instance

_OBEYED = ("id", "host", "port", "logLevel", "persistConfig")
_log = logging.getLogger("draas.instance")


@dataclass(frozen=True, slots=True)
class Options:
    """The command line: the file, and what overrides it."""

    config: Path
    port: int | None = None
    plugins_dir: str | None = None
    follow: str | None = None
    restore: Path | None = None


@dataclass(frozen=True, slots=True)
class _Root:
    """What the file's root says: `settings` as they would be written again, the rest as used."""

    settings: dict[str, Any]
    id: str
    host: str
    port: int
    log_level: str
    persists: bool


async def serve(options: Options, clock: Clock, environment: Mapping[str, str]) -> None:
    """Serve until SIGINT or SIGTERM; `StartError` when that cannot begin.

    The address is taken first, so that a taken one stops the start before anything has effects,
    and answers last, so that a healthy answer means that engine and components run.
    """
    file = ConfigFile.read(options.config)
    root = _root(file, options, clock, environment)
    _set_up_logs(root.log_level)

    from draas.instance_host.api import Api  # noqa: PLC0415 - after RUST_LOG is set
    from draas.instance_host.engine import Engine  # noqa: PLC0415
    from draas.instance_host.http_server import HttpServer, bind  # noqa: PLC0415
    from draas.instance_host.instance import Instance  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        sock = bind(root.host, root.port)
    except OSError as error:
        raise StartError(error.strerror or str(error)) from error
    engine = await Engine.start(root.id, options.plugins_dir, clock)
    instance = Instance(
        root.id,
        engine,
        file,
        root.settings if root.persists else None,
        clock=clock,
        environment=environment,
    )
    server = HttpServer(Api(instance).router)
    try:
        if await _unless(stop, _load(instance, options)):
            return
        try:
            await server.listen(sock)
        except OSError as error:
            raise StartError(error.strerror or str(error)) from error
        gc.collect()
        gc.freeze()
        _log.info("instance '%s' serves on %s:%s", root.id, root.host, root.port)
        await stop.wait()
        _log.info("instance '%s' stops", root.id)
    finally:
        await server.close()
        await instance.close()


async def _load(instance: Instance, options: Options) -> None:
    """The components; then the elements of the leader or of a file, before anything reacts."""
    if options.follow is None and options.restore is None:
        await instance.load()
        return
    instance.handover.hold()
    if options.restore is not None:
        from draas.instance_host.transfer import read_file  # noqa: PLC0415 - rarely needed

        header, elements = read_file(options.restore)
        await instance.load()
        await instance.handover.restore(header, elements)
        options.restore.unlink()
    elif options.follow is not None:
        await instance.load()
        await instance.handover.join(options.follow)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`, or give it up when `stop` comes first; whether it came first."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for each in (stopped, task):
        if not each.done():
            each.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return task.cancelled()


def run(options: Options, clock: Clock, environment: Mapping[str, str]) -> int:
    """`serve` to its end; the exit code, with the reason of a failed start on stderr.

    The caller must leave by `os._exit`: the interpreter's own way out can crash in the engine.
    """
    try:
        asyncio.run(serve(options, clock, environment))
    except StartError as error:
        sys.stderr.write(f"draas-instance: {error}\n")
        return 1
    except Exception as error:
        _log.exception("unexpected failure")
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stderr.write(f"draas-instance: unexpected failure: {reason}\n")
        return 1
    return 0


def _root(
    file: ConfigFile, options: Options, clock: Clock, environment: Mapping[str, str]
) -> _Root:
    """What the file's root says; `StartError` names the key at fault."""
    settings = {key: file.document.get(key, value) for key, value in ROOT_DEFAULTS.items()}
    settings["id"] = file.document.get("id") or clock.new_id()
    if options.port is not None:
        settings["port"] = options.port
    try:
        used = {key: resolve(settings[key], environment, key) for key in _OBEYED}
        level = used["logLevel"]
        if not isinstance(level, str) or level.lower() not in LOG_LEVELS:
            raise invalid(f"logLevel: must be one of {', '.join(LOG_LEVELS)}")
        return _Root(
            settings=settings,
            id=text_of(used["id"], "id"),
            host=text_of(used["host"], "host"),
            port=whole_of(used["port"], "port", 1, 65535),
            log_level=level.lower(),
            persists=flag_of(used["persistConfig"], "persistConfig"),
        )
    except ApiError as error:
        raise StartError(f"--config {file.path}: {error.message}") from error


def _set_up_logs(level: str) -> None:
    """Lines on stdout at `level`, from the host and, unless RUST_LOG is set, from the engine."""
    os.environ.setdefault("RUST_LOG", level)
    os.environ.setdefault("NO_COLOR", "1")
    logging.basicConfig(
        stream=sys.stdout,
        level={"trace": "DEBUG", "warn": "WARNING"}.get(level, level.upper()),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
