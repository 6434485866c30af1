"""The included server, which answers what the file `nonsense` says when it is asked what it runs.

The file is looked for in the working directory at each request; without it the answer is right.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from draas.adapters.clock import SystemClock
from draas.entrypoints.instance import parse
from draas.instance_host import api
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import Response
from draas.instance_host.routing import Router
from draas.instance_host.server import Options, run

NONSENSE = "nonsense"


def nonsense() -> bytes | None:
    file = Path(NONSENSE)
    return file.read_bytes() if file.exists() else None


class BabblingRouter(Router):
    async def __call__(self, request: Request) -> Response:
        said = nonsense() if request.path.endswith("/snapshot") else None
        return await super().__call__(request) if said is None else Response(200, said)


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    assert isinstance(options, Options)
    vars(api)["Router"] = BabblingRouter
    code = run(options, SystemClock(), os.environ)
    sys.stdout.flush()
    os._exit(code)
