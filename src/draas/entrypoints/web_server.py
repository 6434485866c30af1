"""The web server of both processes: uvicorn without its own ideas of signals and logs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from draas.contract.methods import HeadAsGet
from draas.contract.same_origin import Application, SameOrigin
from draas.telemetry import messages
from draas.telemetry.logs import emit

GRACE_SECONDS = 2
"""How long open requests may take when the process is told to end."""


def _nothing(_url: str = "") -> None:
    """Nobody wants to be told."""


class WebServer(uvicorn.Server):
    """Serves an application at an address, behind the guard against other sites; HEAD as GET.

    `on_started` is told the URL once it answers; `on_ending` is called before open requests are
    waited for, so that long polls can be let go.
    """

    def __init__(
        self,
        app: Application,
        host: str,
        port: int,
        *,
        any_host: bool = False,
        on_started: Callable[[str], None] = _nothing,
        on_ending: Callable[[], None] = _nothing,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                SameOrigin(HeadAsGet(app), any_host=any_host),
                host=host,
                port=port,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._on_started = on_started
        self._on_ending = on_ending

    def end(self) -> None:
        """Stop serving; asked again, without waiting for open requests."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again before anything is closed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where in the words of .NET's host (R-130.19).

        Raises:
            OSError: the address cannot be had.
        """
        try:
            await super().startup(sockets)
        except SystemExit:
            raise OSError(
                f"{self.config.host}:{self.config.port} cannot be listened on; is it in use? "
                "Choose another with --port"
            ) from None
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            emit(messages.NOW_LISTENING, url=url)
            emit(messages.APPLICATION_STARTED)
            self._on_started(url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of those that wait for changes, then of the rest."""
        emit(messages.APPLICATION_STOPPING)
        self._on_ending()
        await super().shutdown(sockets)
