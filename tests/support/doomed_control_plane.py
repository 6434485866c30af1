"""A real control plane that is killed, or whose Envoy is, once, in the middle of a call on slots.

`python -m tests.support.doomed_control_plane POINT TIMES VICTIM control-plane --data … [settings]`
kills VICTIM (`itself` or `envoy`) at the point when it comes there for the TIMES-th time. Started
again with the same data it does so no more.

- *recorded*: the candidate is in the store, and nothing is started yet;
- *spawned*: its process is there, and not ready;
- *started*: it is ready, and the store does not know which process it is;
- *weighed*: weights are in the store, and the router has not heard of them;
- *routing*: the router's files split between two slots, and nobody has waited for it yet;
- *sealed*: the leader is sealed, and the successor not promoted;
- *promoted*: the successor leads, the sealed one does not follow, and the store knows nothing;
- *followed*: the same, with the sealed one following;
- *edited*: a component of a running server was added or taken away;
- *draining*: a slot that goes has lost its traffic, and answers what it has;
- *stopped*: its process is gone, and the store does not know.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.handover_client import HandoverClient
from draas.adapters.platforms.process import ProcessPlatform
from draas.adapters.routers.envoy import EnvoyRouter
from draas.adapters.routers.envoy_clusters import FAILOVER, clusters_of
from draas.adapters.routers.envoy_files import ResourceFile
from draas.adapters.routers.names import encoded
from draas.control_plane.router import Route
from draas.entrypoints.draas import main

POINT, TIMES, VICTIM = sys.argv[1], int(sys.argv[2]), sys.argv[3]
DATA = Path(sys.argv[sys.argv.index("--data") + 1])
MET = DATA.with_suffix(".met")
seen: list[str] = []


def reach(point: str) -> None:
    if point != POINT or MET.exists():
        return
    seen.append(point)
    if len(seen) < TIMES:
        return
    MET.write_text(f"{POINT}\n")
    if VICTIM == "itself":
        os.kill(os.getpid(), signal.SIGKILL)
    for process in psutil.process_iter(["name", "cmdline"]):
        line = process.info["cmdline"] or []
        if process.info["name"] == "envoy" and any(str(DATA) in word for word in line):
            process.kill()


def doomed(
    owner: type, name: str, point: str, concerned: Callable[..., bool], *, after: bool
) -> None:
    """Reach the point before or after each call of a method that is concerned."""
    method = getattr(owner, name)

    async def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
        mine = concerned(self, *arguments)
        if mine and not after:
            reach(point)
        answer = await method(self, *arguments, **more)
        if mine and after:
            reach(point)
        return answer

    setattr(owner, name, wrapped)


def is_candidate(_: ProcessPlatform, launch: Any, *rest: Any) -> bool:
    return bool(launch.follow)


def is_there(platform: ProcessPlatform, instance_id: str, slot: str) -> bool:
    return platform._directory(instance_id, slot) in platform._held._servers


def has_two(_: EnvoyRouter, route: Route, *rest: Any) -> bool:
    return len(route.backends) > 1 and all(map(route.weight, route.backends))


def leaves(router: EnvoyRouter, route: Route, *rest: Any) -> bool:
    kept = {each["name"] for each in clusters_of(route)}
    return bool(router._envoy.clusters.of(f"{encoded(route.name)}/").keys() - kept)


def splits(file: ResourceFile, *rest: Any) -> bool:
    """Whether it says how requests are split, and some are between two slots."""
    return file._path.name == "splits.json" and FAILOVER in file._path.read_text()


if __name__ == "__main__":
    doomed(ProcessPlatform, "start", "recorded", is_candidate, after=False)
    doomed(ProcessPlatform, "_spawn", "spawned", is_candidate, after=True)
    doomed(ProcessPlatform, "start", "started", is_candidate, after=True)
    doomed(ProcessPlatform, "stop", "stopped", is_there, after=True)
    doomed(EnvoyRouter, "ensure", "weighed", has_two, after=False)
    doomed(EnvoyRouter, "_detach", "draining", leaves, after=False)
    doomed(ResourceFile, "_taken", "routing", splits, after=False)
    doomed(HandoverClient, "seal", "sealed", lambda _, __, successor: bool(successor), after=True)
    doomed(HandoverClient, "promote", "promoted", lambda *_: True, after=True)
    doomed(HandoverClient, "follow", "followed", lambda *_: True, after=True)
    doomed(DrasiClient, "carry_out", "edited", lambda *_: True, after=True)
    sys.argv = ["draas", *sys.argv[4:]]
    main()
