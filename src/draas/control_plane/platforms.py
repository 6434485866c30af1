"""The platforms that there are, by type; one that is missing says so and fakes nothing (B-95)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from draas.contract.problems import ProblemError
from draas.control_plane.ports import Exit, Platform
from draas.model.status import PlatformType


class Platforms:
    """What instances can run on."""

    def __init__(self, platforms: Iterable[Platform]) -> None:
        self._by_type = {platform.type: platform for platform in platforms}

    def __iter__(self) -> Iterator[Platform]:
        return iter(self._by_type.values())

    def find(self, name: str) -> Platform | None:
        """The platform of that type, whether or not it can start anything."""
        return self._by_type.get(PlatformType(name))

    def available(self, name: str) -> Platform:
        """The platform of that type.

        Raises:
            ProblemError: nothing can be started there now (platform-unavailable).
        """
        reason = self.unavailable(PlatformType(name))
        found = self.find(name)
        if found is None or reason is not None:
            raise ProblemError("platform-unavailable", f"platform {name}: {reason}")
        return found

    def unavailable(self, kind: PlatformType) -> str | None:
        """Why nothing can be started on platforms of that type, or `None`."""
        found = self._by_type.get(kind)
        if found is None:
            return f"this control plane has no platform {kind.value}"
        return found.unavailable()

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """Call `on_exit` for each server that ends by itself, wherever it runs."""
        for platform in self._by_type.values():
            platform.watch(on_exit)

    async def close(self) -> None:
        """Let go of all platforms; what runs goes on."""
        for platform in self._by_type.values():
            await platform.close()
