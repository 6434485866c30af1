"""The included server, as bad as its document asks towards clients that come through a router.

The member `fault` of a reaction says how: `delay` (seconds more for each answer), `errors` (every
so many requests one is answered 500), `crash` (ends at once at this request), `rows` (from the
first request on, results lack their last row, whoever asks). The file `faults` in the working
directory has the time of each answer that was bad. Everything else is that of the real server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from draas.adapters.clock import SystemClock
from draas.entrypoints.instance import parse
from draas.instance_host import api
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import Response, json_response
from draas.instance_host.instance import Instance
from draas.instance_host.routing import Router
from draas.instance_host.server import Options, run

ROUTED = "x-forwarded-for"
USUAL = 0.02
"""Seconds more that the best of these servers take."""


class FaultyRouter(Router):
    """The routes of a server with a fault, which spares who asks it directly: the control plane."""

    def __init__(self, fault: dict[str, Any]) -> None:
        super().__init__()
        self._fault = fault
        self._asked = 0

    async def __call__(self, request: Request) -> Response:
        if ROUTED in request.headers:
            self._asked = number = self._asked + 1
            await asyncio.sleep(self._fault.get("delay", 0.0))
            if number == self._fault.get("crash"):
                self._shows()
                os._exit(3)
            every = self._fault.get("errors")
            if every and number % every == 0:
                self._shows()
                return json_response({"code": "INTERNAL_ERROR", "message": "a fault"}, 500)
            if self._fault.get("delay", 0.0) > USUAL:
                self._shows()
        answer = await super().__call__(request)
        if self._fault.get("rows") and self._asked and request.path.endswith("/each/results"):
            self._shows()
            found = json.loads(answer.body)
            return json_response({**found, "data": found["data"][:-1]})
        return answer

    def _shows(self) -> None:
        with Path("faults").open("a") as faults:
            faults.write(f"{time.time()}\n")


class FaultyApi(api.Api):
    """The real routes, in a router that has the document's fault."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        router = FaultyRouter(fault_of(options.config))
        router.__dict__["_routes"] = self.router.__dict__["_routes"]
        self.router = router


def fault_of(config: Path) -> dict[str, Any]:
    reactions = json.loads(config.read_text())["reactions"]
    return next((each["fault"] for each in reactions if "fault" in each), {})


if __name__ == "__main__":
    parsed = parse(sys.argv[1:])
    assert isinstance(parsed, Options)
    options = parsed
    api.Api = FaultyApi  # type: ignore[misc]  # what the server serves
    code = run(options, SystemClock(), os.environ)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)
