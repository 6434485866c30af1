"""A server of another make: the real engine and the contract of drasi-server, and no more.

It knows of no hand-over and keeps no elements: a query begins with what the `bootstrapProvider` of
its source loads, here of kind `scriptfile` with `filePaths` of one change a line, or empty.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from draas.adapters.clock import SystemClock
from draas.entrypoints.instance import parse
from draas.instance_host import source_set
from draas.instance_host.elements import Change, Elements
from draas.instance_host.handover_api import HandoverApi
from draas.instance_host.registry import Source
from draas.instance_host.server import Options, run
from draas.instance_host.sources.changes import change_of

KIND = "scriptfile"


class Loaded(Elements):
    """Remembers what the engine knows, and gives a new query only what files have."""

    def __init__(self, files: list[str]) -> None:
        super().__init__()
        self._files = files

    def replay(self) -> Iterator[Change]:
        for file in self._files:
            for line in Path(file).read_text().splitlines():
                yield change_of(json.loads(line))


class ForgetfulSources(source_set.SourceSet):
    async def add(self, document: dict[str, Any]) -> Source:
        source = await super().add(document)
        provider = document.get("bootstrapProvider") or {}
        source.elements = Loaded(provider.get("filePaths", []))
        return source


class NoHandover(HandoverApi):
    def add_to(self, add: Any) -> None:
        """Nothing."""


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    assert isinstance(options, Options)
    assert options.follow is None, "no other make knows this"
    from draas.instance_host import api, instance

    vars(source_set)["BUILT_IN_BOOTSTRAP"] = (*source_set.BUILT_IN_BOOTSTRAP, KIND)
    vars(instance)["SourceSet"] = ForgetfulSources
    vars(api)["HandoverApi"] = NoHandover
    code = run(options, SystemClock(), os.environ)
    sys.stdout.flush()
    os._exit(code)
