"""A follower's end of the stream: the leader's elements once, then its changes one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from draas.contract.drasi_server import API_PREFIX, CHANGES_GONE, HANDOVER
from draas.instance_host.change_log import ChangeLog
from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError, not_now
from draas.instance_host.http_client import Refused, Target, lines
from draas.instance_host.parsing import parse_json
from draas.instance_host.registry import Registry
from draas.instance_host.source_set import SourceSet
from draas.instance_host.transfer import read_element, read_header, read_line

SILENCE_SECONDS = 5.0
RETRY_SECONDS = 0.2


class Following:
    """Applies a leader's changes in order; what it cannot apply ends it with an `error`.

    A connection that breaks is made again, after the last change that was applied.
    """

    def __init__(self, leader: str, log: ChangeLog, registry: Registry, sources: SourceSet) -> None:
        self.error: str | None = None
        self._leader = leader
        self._log = log
        self._registry = registry
        self._sources = sources
        self._leaders: int | None = None
        self._stream: AsyncGenerator[bytes, None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._step: asyncio.Future[None] | None = None

    @property
    def lag(self) -> int | None:
        """How many changes of the leader are missing here, as far as known; None if unknown."""
        return None if self._leaders is None else max(0, self._leaders - self._log.sequence)

    async def load(self) -> None:
        """Take all elements; the changes after them wait for `start`."""
        stream = self._open("")
        try:
            header = read_header(await _next(stream))
            count = 0
            while "end" not in (document := await _next(stream)):
                _refuse_error(document)
                source_id, element = read_element(document)
                await self._apply(source_id, element)
                count += 1
            if document["end"] != count:
                raise ValueError(f"{count} elements came, not {document['end']}")
        except Refused as error:
            raise OSError(_reason(error)) from error
        self._log.adopt(header.sequence, header.terms)
        self._leaders = header.sequence
        self._stream = stream

    def start(self) -> None:
        """Go on in the background after the last change that was applied."""
        stream, self._stream = self._stream, None
        self._task = asyncio.ensure_future(self._run(stream))

    async def stop(self) -> None:
        """End, between two changes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._step is not None:
            await asyncio.gather(self._step, return_exceptions=True)

    async def reach(self, sequence: int, within: float) -> None:
        """Return when change `sequence` was applied; `ApiError` (503) if it is not in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while self._log.sequence < sequence:
            left = deadline - loop.time()
            if left <= 0 or (self._task is not None and self._task.done()):
                reason = f": {self.error}" if self.error else ""
                raise not_now(f"at change {self._log.sequence}, not at {sequence}{reason}")
            await self._log.news(min(left, 0.1))
        if self._log.sequence > sequence:
            raise not_now(f"already at change {self._log.sequence}: the leader went on")

    async def _run(self, stream: AsyncGenerator[bytes, None] | None) -> None:
        while True:
            try:
                if stream is None:
                    stream = self._open(f"?after={self._log.sequence}&term={self._log.term}")
                    header = read_header(await _next(stream))
                    self._log.terms, self._leaders = header.terms, header.sequence
                self.error = None
                async with aclosing(stream):
                    async for text in stream:
                        self._step = asyncio.ensure_future(self._take(read_line(text)))
                        await asyncio.shield(self._step)
                raise OSError("the stream ended")
            except (OSError, TimeoutError) as error:
                self.error = f"the leader does not answer: {str(error) or type(error).__name__}"
            except Refused as error:
                self.error = _reason(error)
                if CHANGES_GONE.encode() in error.body:
                    return
            except (ValueError, ApiError) as error:
                self.error = f"cannot follow: {error}"
                return
            finally:
                self._leaders = None
            stream = None
            await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, document: dict[str, Any]) -> None:
        """One line: a change, or where the leader is."""
        _refuse_error(document)
        if "change" not in document:
            header = read_header(document)
            self._log.terms, self._leaders = header.terms, header.sequence
            return
        sequence, change = document["sequence"], document["change"]
        if sequence != self._log.sequence + 1:
            raise ValueError(f"change {sequence} came after change {self._log.sequence}")
        await self._apply(document["source"], change)
        self._log.record(document["source"], change)
        self._leaders = max(self._leaders or 0, sequence)

    async def _apply(self, source_id: str, change: Change) -> None:
        source = self._registry.sources.get(source_id)
        if source is not None and source.feeder is not None:
            await self._sources.follow(source, change)

    def _open(self, query: str) -> AsyncGenerator[bytes, None]:
        target = Target.of(f"{self._leader}{API_PREFIX}{HANDOVER}/changes{query}")
        return lines(target, SILENCE_SECONDS)


async def _next(stream: AsyncGenerator[bytes, None]) -> dict[str, Any]:
    try:
        return read_line(await anext(stream))
    except StopAsyncIteration:
        raise OSError("the stream ended") from None


def _refuse_error(document: dict[str, Any]) -> None:
    if "error" in document:
        raise ValueError(str(document["error"]))


def _reason(error: Refused) -> str:
    """What the leader said, or that it said no."""
    try:
        return f"the leader refuses: {parse_json(error.body)['message']}"
    except (ValueError, KeyError, TypeError):
        return f"the leader refuses with {error.status}"
