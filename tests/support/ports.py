"""Ports that tests give away before somebody listens there."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

FIRST, EACH, WORKERS = 10_000, 1_000, 10
"""Below those that the system gives to connections, which may take any at any time."""


def _of_this_worker() -> Iterator[int]:
    """Its own ports in turn; where a run begins is its own as well, should another go on beside."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % WORKERS
    begin = FIRST + worker * EACH + os.getpid() * 37 % EACH
    mine = range(FIRST + worker * EACH, FIRST + (worker + 1) * EACH)
    return itertools.cycle((*range(begin, mine.stop), *range(mine.start, begin)))


_PORTS = _of_this_worker()


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens, and which this process gives away seldom."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
