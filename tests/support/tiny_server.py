"""A server program with a Drasi server's command line, small and as bad as its document asks.

`--config FILE --port N`; the document's member `tiny` says how to behave: `exitCode` (end at once),
`delay` (seconds until it listens), `unhealthy`, `stubborn` (ignores SIGINT), `chatty` (bytes on
standard output at the start), `child` (has a `forked` or `spawned` process of its own and
writes its number to `child.pid`), `as` (the instance id that it claims), `say` (a line to write).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class TinyServer(ThreadingHTTPServer):
    document: dict[str, Any]


class Answers(BaseHTTPRequestHandler):
    server: TinyServer

    def do_GET(self) -> None:
        document = self.server.document
        tiny = document.get("tiny", {})
        claimed = tiny.get("as", document["id"])
        if self.path == "/health":
            self.reply(503 if tiny.get("unhealthy") else 200, {"status": "ok"})
        elif unquote(self.path) == f"/api/v1/instances/{document['id']}/snapshot":
            self.reply(200, snapshot(document, claimed))
        else:
            self.reply(404, {"code": "INSTANCE_NOT_FOUND"})

    def reply(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        say(format % args)


def snapshot(document: dict[str, Any], claimed: str) -> dict[str, Any]:
    return {
        "instance_id": claimed,
        "timestamp": "2026-01-01T00:00:00Z",
        "sources": [
            {
                "id": source["id"],
                "source_type": source["kind"],
                "status": "Running",
                "auto_start": source.get("autoStart", True),
                "properties": {k: v for k, v in source.items() if k not in ("id", "autoStart")},
            }
            for source in document.get("sources", [])
        ],
        "queries": [],
        "reactions": [],
    }


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    document = json.loads(arguments.config.read_text())
    tiny = document.get("tiny", {})
    say(tiny.get("say", ""))
    if "exitCode" in tiny:
        sys.exit(tiny["exitCode"])
    signal.signal(signal.SIGINT, signal.SIG_IGN if tiny.get("stubborn") else interrupted)
    if "child" in tiny:
        Path("child.pid").write_text(str(another(tiny["child"])))
    say("x" * tiny.get("chatty", 0))
    time.sleep(tiny.get("delay", 0))
    server = TinyServer((document["host"], arguments.port), Answers)
    server.document = document
    server.serve_forever()


def another(how: str) -> int:
    """A process of this server: forked with all that it has, or spawned with no environment."""
    if how == "spawned":
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={}).pid
    child = os.fork()
    if child == 0:
        time.sleep(600)
    return child


def interrupted(*_: Any) -> None:
    say("interrupted")
    os._exit(0)


if __name__ == "__main__":
    main()
