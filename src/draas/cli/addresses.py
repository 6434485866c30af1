"""Where the two processes are."""

from __future__ import annotations

from dataclasses import dataclass

CONTROL_PLANE = "http://127.0.0.1:5000"
DAEMON = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Base URLs, from the global options."""

    control_plane: str = CONTROL_PLANE
    daemon: str = DAEMON
