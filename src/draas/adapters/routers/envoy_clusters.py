"""The clusters of Envoy, as functions of routes.

Every backend has a cluster `ROUTE/BACKEND` of its own, and one `ROUTE/BACKEND~` that stands for
"this backend, and the others where it cannot be reached". A mirror has `ROUTE/BACKEND!`, so that
what became of the copies is counted apart.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from draas.adapters.routers.envoy_documents import EXTENSIONS, Document, socket_address
from draas.adapters.routers.names import encoded
from draas.control_plane.router import Route

FAILOVER: Final = "~"
MIRROR: Final = "!"

_NO_LIMIT = 4_294_967_295

CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


def cluster_name(route: str, backend: str, suffix: str = "") -> str:
    """The cluster of a backend."""
    return f"{encoded(route)}/{encoded(backend)}{suffix}"


def clusters_of(route: Route) -> list[Document]:
    """All clusters of a route."""
    names = sorted(route.backends)
    found = [_backend(route, name, "") for name in names]
    found += [_backend(route, name, MIRROR) for name in sorted(route.mirrors)]
    if len(names) > 1:
        found += [_failover(route, name) for name in names]
    return found


def _backend(route: Route, name: str, suffix: str) -> Document:
    cluster = cluster_name(route.name, name, suffix)
    endpoint = {"endpoint": {"address": socket_address(route.backends[name])}}
    checks = {} if suffix else {"health_checks": [_health_check(route.health)]}
    return {
        "name": cluster,
        # Names are looked up again and again, addresses are taken as they are.
        "type": "STATIC" if _is_address(route.backends[name].host) else "STRICT_DNS",
        "connect_timeout": "2s",
        "circuit_breakers": _WIDE_OPEN,
        "load_assignment": {
            "cluster_name": cluster,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                # Below the 5 s after which servers close a connection that is idle.
                "common_http_protocol_options": {"idle_timeout": "4s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        **checks,
    }


def _failover(route: Route, name: str) -> Document:
    others = sorted(set(route.backends) - {name})
    return {
        "name": cluster_name(route.name, name, FAILOVER),
        "connect_timeout": "2s",
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": _WIDE_OPEN,
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": f"{EXTENSIONS}.clusters.aggregate.v3.ClusterConfig",
                "clusters": [cluster_name(route.name, each) for each in (name, *others)],
            },
        },
    }


_WIDE_OPEN: Final[Document] = {
    # The defaults would cap streams at 1,024 and retries at 3.
    "thresholds": [
        {
            "max_connections": _NO_LIMIT,
            "max_pending_requests": _NO_LIMIT,
            "max_requests": _NO_LIMIT,
            "max_retries": _NO_LIMIT,
        }
    ]
}


def _health_check(path: str | None) -> Document:
    kind = {"tcp_health_check": {}} if path is None else {"http_health_check": {"path": path}}
    return {
        "timeout": "2s",
        "interval": "2s",
        # Nobody has used it yet: often until it is healthy, then seldom.
        "no_traffic_interval": "1s",
        "no_traffic_healthy_interval": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        **kind,
    }


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
