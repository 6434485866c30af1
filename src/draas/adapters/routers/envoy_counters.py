"""From Envoy's statistics to what each backend of a route got."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from draas.adapters.routers.envoy_admin import Buckets, Statistics
from draas.adapters.routers.envoy_clusters import FAILOVER, MIRROR, cluster_name
from draas.control_plane.router import Counters

_CODE = re.compile(r"upstream_rq_(\d{3})$")


def counters(statistics: Statistics, route: str, backends: Iterable[str]) -> dict[str, Counters]:
    """The counters of each backend.

    Envoy counts an answer, and its time, where the route pointed: at the backend alone, or at
    the backend with its failover. What is in flight it counts where it was sent.
    """
    return {backend: _of(statistics, route, backend) for backend in backends}


def inflight(values: Mapping[str, int], clusters: Iterable[str]) -> int:
    """How many requests the clusters have not answered yet."""
    return sum(
        values.get(f"cluster.{cluster}.{gauge}", 0)
        for cluster in clusters
        for gauge in ("upstream_rq_active", "upstream_rq_pending_active")
    )


def _of(statistics: Statistics, route: str, backend: str) -> Counters:
    values = statistics.values
    direct = f"cluster.{cluster_name(route, backend)}."
    failover = f"cluster.{cluster_name(route, backend, FAILOVER)}."
    codes = _codes(values, direct) + _codes(values, failover)
    mirrored = _codes(values, f"cluster.{cluster_name(route, backend, MIRROR)}.")
    healthy = values.get(f"{direct}membership_healthy")
    return Counters(
        requests=codes.total(),
        errors=_errors(codes),
        codes=dict(codes),
        latency=_sum(
            statistics.buckets.get(f"{each}upstream_rq_time", ()) for each in (direct, failover)
        ),
        inflight=inflight(
            values, [cluster_name(route, backend, suffix) for suffix in ("", MIRROR)]
        ),
        healthy=None if healthy is None else healthy > 0,
        retries=sum(values.get(f"{each}upstream_rq_retry", 0) for each in (direct, failover)),
        mirror_failures=sum(count for code, count in mirrored.items() if not code.startswith("2")),
    )


def _codes(values: Mapping[str, int], prefix: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in values.items():
        match = _CODE.match(name, len(prefix)) if name.startswith(prefix) else None
        if match and count:
            found[match[1]] += count
    return found


def _errors(codes: Mapping[str, int]) -> int:
    return sum(count for code, count in codes.items() if code.startswith("5"))


def _sum(histograms: Iterable[Buckets]) -> Buckets:
    total: Counter[float | None] = Counter()
    for buckets in histograms:
        total.update(dict(buckets))
    return tuple(sorted(total.items(), key=lambda each: (each[0] is None, each[0])))
