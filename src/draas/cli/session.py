"""One command's talk with the control plane and the daemon."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from draas.cli import output
from draas.cli.addresses import Addresses
from draas.cli.errors import code_of, lines_of
from draas.cli.exit_codes import Code, CommandError
from draas.cli.output import Format, Told
from draas.cli.text import printable
from draas.client.daemon import Reconciliation
from draas.client.http import HttpClient
from draas.client.operators import Operators
from draas.client.port import ControlPlaneError

ACTOR = "cli"
INTERRUPTED = 130
SPINNER_AFTER = 0.7
"""Seconds before progress is shown: what is quick needs none."""


class Session:
    """The clients of one command."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self.control_plane = Operators(HttpClient(addresses.control_plane, actor=ACTOR))
        self.daemon = Reconciliation(HttpClient(addresses.daemon, actor=ACTOR))

    async def close(self) -> None:
        """Close the connections."""
        await self.control_plane.http.close()
        await self.daemon.http.close()

    async def for_each(
        self, instance_ids: list[str], work: Callable[[str], Awaitable[Told]], form: Format
    ) -> Code:
        """Do something to each instance and print what was done; the code of the first failure."""
        codes: list[Code] = []
        done: list[dict[str, Any]] = []
        for instance_id in instance_ids:
            about = f"{instance_id}: " if len(instance_ids) > 1 else ""
            try:
                one = await work(instance_id)
            except ControlPlaneError as error:
                codes.append(tell(error, self.addresses, about))
                done.append({"id": instance_id, "result": "failed", "error": str(error)})
                continue
            done.append(dict(one.data))
            if form is Format.TABLE:
                output.told(one, form)
        if form is not Format.TABLE:
            output.document(done, form)
        return first_of(codes)


def first_of(codes: list[Code]) -> Code:
    """The code of the first that failed, where each code is of a failure."""
    return codes[0] if codes else Code.OK


def talk(addresses: Addresses, work: Callable[[Session], Awaitable[Code]]) -> Code:
    """Run a command; its exit code. What goes wrong is told on stderr."""
    try:
        return asyncio.run(_talk(addresses, work))
    except CommandError as error:
        say(str(error))
        return error.code
    except ControlPlaneError as error:
        return tell(error, addresses)
    except (LookupError, TypeError, AttributeError) as error:  # an answer of another release
        say(f"the answer is not as it should be: {error!r}; is the URL right, and the version?")
        return Code.FAILED
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


async def _talk(addresses: Addresses, work: Callable[[Session], Awaitable[Code]]) -> Code:
    session = Session(addresses)
    try:
        return await work(session)
    finally:
        await session.close()


def tell(error: ControlPlaneError, addresses: Addresses, about: str = "") -> Code:
    """Print an error of a call on stderr; its exit code."""
    first, *more = lines_of(error, addresses)
    say(about + first)
    for line in more:
        say(line)
    return code_of(error)


def say(line: str) -> None:
    """One line for the person, on stderr: stdout is for data."""
    print(printable(line), file=sys.stderr)


@asynccontextmanager
async def progress(text: str) -> AsyncIterator[None]:
    """A spinner on stderr while something takes long; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only where it is shown

    status = Console(stderr=True).status(printable(text))
    timer = asyncio.get_running_loop().call_later(SPINNER_AFTER, status.start)
    try:
        yield
    finally:
        timer.cancel()
        status.stop()
