"""What `draas up` runs with: the settings of both, and what it decides itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from draas.adapters.machine.ports import reachable
from draas.control_plane.options import ControlPlaneSettings
from draas.entrypoints.serve import divided, effective, load_both
from draas.reconciliation.options import DaemonSettings
from draas.settings import SettingsError
from draas.settings.sources import from_arguments

_TIMES = "--Logging:Timestamps=true"
"""The logs are files here, that people read later."""


@dataclass(frozen=True, slots=True)
class Given:
    """The settings of both, and the words of the command line for each.

    The daemon's control plane is the one that is started here, whatever its settings say.
    """

    control_plane: ControlPlaneSettings
    daemon: DaemonSettings
    control_plane_words: tuple[str, ...]
    daemon_words: tuple[str, ...]

    def lines(self) -> list[str]:
        """Each setting as it is used; a port of 0 becomes a free one at the start."""
        name, api = "ControlPlaneUrl=", self.control_plane.api
        followed = name + url_of(api.host, api.port)
        every = (*effective(self.control_plane), *effective(self.daemon))
        return [followed if line.startswith(name) else line for line in every]


def given(directory: Path, arguments: Sequence[str]) -> Given:
    """What files, environment and command line make of both.

    Raises:
        SettingsError: with all faults; also for another control plane on the command line, and for
            one port for both.
    """
    words = (_TIMES, *arguments)
    plane, daemon = load_both(directory, words)
    _require_own_control_plane(arguments)
    if plane.api.port == daemon.management.port != 0:
        port = plane.api.port
        raise SettingsError(
            [f"Management:Port = {port}: it is the control plane's; choose another (--daemon-port)"]
        )
    for_plane, for_daemon = divided(words)
    return Given(plane, daemon, tuple(for_plane), tuple(for_daemon))


def url_of(host: str, port: int) -> str:
    """Where one who listens there is reached from here."""
    address = reachable(host)
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


def _require_own_control_plane(arguments: Sequence[str]) -> None:
    if any(leaf.folded == ("controlplaneurl",) for leaf in from_arguments(arguments, [])):
        raise SettingsError(
            [
                "ControlPlaneUrl (command line): `draas up` starts a control plane of its own and "
                "follows that; `draas daemon` follows another one"
            ]
        )
