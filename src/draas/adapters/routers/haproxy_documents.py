"""What HAProxy reads, as a function of routes, and what its statistics say."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from draas.adapters.routers.names import encoded
from draas.control_plane.router import Counters, Route

_LARGEST_WEIGHT = 256
_CHECK = "check inter 2s fastinter 500ms downinter 500ms fall 2 rise 1"
_HEAD = """\
global
    nbthread 1
    hard-stop-after 10m
defaults
    mode http
    balance roundrobin
    timeout connect 2s
    # Streams last as long as they last; HAProxy counts up to 24 days.
    timeout client 24d
    timeout server 24d
    # Only what was never sent is sent again, and to another server.
    retries 2
    retry-on conn-failure
    option redispatch 1
    option forwardfor
    # A reload closes connections with an answer, not between two requests.
    option idle-close-on-response
# Without any address HAProxy would not take the file, which the last route may have left.
frontend .idle
    bind unix@./idle.sock mode 600
"""

CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")

_WHOLE = "BACKEND"

Row = Mapping[str, str]
Totals = Counter[tuple[str, str, str]]
"""Counts by backend, server and column."""


def configuration(routes: Iterable[Route]) -> str:
    """The whole configuration file."""
    return _HEAD + "".join(_section(each) for each in sorted(routes, key=lambda each: each.name))


def opened(configuration: str) -> set[str]:
    """The addresses that a configuration file opens."""
    lines = (line.split() for line in configuration.splitlines())
    return {words[1] for words in lines if words[:1] == ["bind"]}


def server_name(route: Route, backend: str) -> str:
    """The server of a backend; one at another address is another server, counted from 0."""
    address = route.backends[backend]
    return f"{encoded(backend)}:{encoded(address.host)}:{address.port}"


def server_options(route: Route, backend: str) -> str:
    """Where a server is and how it is checked, without its weight."""
    return f"{route.backends[backend]} {_CHECK} pool-purge-delay 2s"


def server_weights(route: Route) -> dict[str, int]:
    """The weights of a route by server, within HAProxy's 0 to 256."""
    largest = max(route.weights.values())
    scale = min(1.0, _LARGEST_WEIGHT / largest)
    return {
        server_name(route, name): max(1, round(route.weight(name) * scale))
        if route.weight(name)
        else 0
        for name in sorted(route.backends)
    }


def rows(answer: str) -> list[Row]:
    """The table that `show stat` answers."""
    return list(csv.DictReader(answer.removeprefix("# ").splitlines()))


def servers(table: Iterable[Row], key: str) -> set[str]:
    """The names of the servers of a backend."""
    return {row["svname"] for row in table if row["pxname"] == key} - {_WHOLE}


def totals(table: Iterable[Row]) -> Totals:
    """What only grows, of all servers and backends."""
    columns = (*(f"hrsp_{each}" for each in CLASSES), "econ", "eresp", "wretr", "wredis")
    found: Totals = Counter()
    for row in table:
        for column in columns:
            if row.get(column):
                found[row["pxname"], row["svname"], column] += int(row[column])
    return found


def inflight(table: Iterable[Row], key: str, servers: Collection[str]) -> int:
    """The requests that servers have not answered yet."""
    return sum(
        int(row["scur"]) for row in table if row["pxname"] == key and row["svname"] in servers
    )


def counters(counted: Totals, table: Iterable[Row], route: Route, backend: str) -> Counters:
    """What a backend got; `table` is of the worker that takes new requests, then of the others."""
    table = list(table)
    key, server = encoded(route.name), server_name(route, backend)
    codes = {each: counted[key, server, f"hrsp_{each}"] for each in CLASSES}
    codes["5xx"] += _failures(counted, key, server)
    status = next(
        (row["status"] for row in table if (row["pxname"], row["svname"]) == (key, server)), None
    )
    return Counters(
        requests=sum(codes.values()),
        errors=codes["5xx"],
        codes={each: count for each, count in codes.items() if count},
        latency=(),
        inflight=inflight(table, key, {server}),
        healthy=None if status is None else status.startswith("UP"),
        retries=counted[key, server, "wretr"] + counted[key, server, "wredis"],
        mirror_failures=0,
    )


def _failures(counted: Totals, key: str, server: str) -> int:
    """Requests that HAProxy answered itself as the server did not.

    It tells whose they were only roughly: an answer that broke off can count twice. So they are
    no more than what it answered itself for the whole backend.
    """
    answered = sum(
        count if name == _WHOLE else -count
        for (proxy, name, column), count in counted.items()
        if proxy == key and column == "hrsp_5xx"
    )
    return min(counted[key, server, "econ"] + counted[key, server, "eresp"], max(0, answered))


def _section(route: Route) -> str:
    key = encoded(route.name)
    weights = server_weights(route)
    lines = [
        f"frontend {key}",
        f"    bind {route.listen}",
        f"    default_backend {key}",
        f"backend {key}",
    ]
    if route.health is not None:
        lines += ["    option httpchk", f"    http-check send meth GET uri {_quoted(route.health)}"]
    for name in sorted(route.backends):
        server = server_name(route, name)
        lines.append(f"    server {server} {server_options(route, name)} weight {weights[server]}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
