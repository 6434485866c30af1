"""Calls that block on disks or `/proc`, kept off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_DISK_SECONDS = 30.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def off_loop(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What the call answers, from a thread and within 30 s (`TimeoutError`)."""
    async with asyncio.timeout(_DISK_SECONDS):
        return await asyncio.to_thread(call, *args, **kwargs)
