"""What Envoy follows: clusters, routes and listeners, as functions of routes.

Every backend has a cluster `ROUTE/BACKEND` of its own, and one `ROUTE/BACKEND~` that stands for
"this backend, and the others where it cannot be reached". A mirror has `ROUTE/BACKEND!`, so that
what became of the copies is counted apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final

from draas.adapters.routers.names import encoded
from draas.control_plane.router import Address, Route

CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

FAILOVER: Final = "~"
MIRROR: Final = "!"
TABLE: Final = "all"
STATISTICS: Final = "routes"

_MARK = "x-draas-route"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_NO_LIMIT = 4_294_967_295
Document = dict[str, Any]


def discovery(kind: str, resources: Iterable[Mapping[str, Any]]) -> Document:
    """A file of resources; its version is the hash of what it holds, so equal files are equal."""
    found = sorted(({"@type": kind, **each} for each in resources), key=lambda each: each["name"])
    version = sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    return {"version_info": version, "type_url": kind, "resources": found}


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


def split_name(route: str) -> str:
    """The virtual host of a route."""
    return f"{encoded(route)}@"


def split_of(route: Route) -> Document:
    """How the requests of a route are split: the only document that a change of weights touches.

    A single backend with weight gets its requests directly, so that none without weight is ever
    reached by failover.
    """
    weighted = sorted(name for name in route.backends if route.weight(name))
    suffix = FAILOVER if len(weighted) > 1 else ""
    targets = [
        {"name": cluster_name(route.name, name, suffix), "weight": route.weight(name)}
        for name in weighted
    ]
    mirrors = [
        {
            "cluster": cluster_name(route.name, name, MIRROR),
            "disable_shadow_host_suffix_append": True,
        }
        for name in sorted(route.mirrors)
    ]
    action = {
        "weighted_clusters": {"clusters": targets},
        # Streams and long requests last as long as they last.
        "timeout": "0s",
        "idle_timeout": "0s",
        "retry_policy": _RETRIES,
        "request_mirror_policies": mirrors,
    }
    return {
        "name": split_name(route.name),
        "domains": [_domain(route)],
        "routes": [{"match": {"prefix": "/"}, "route": action}],
    }


def table(splits: Iterable[Mapping[str, Any]]) -> Document:
    """The file of all splits.

    One for all listeners: Envoy spends a watch of the system, of which a user has 128, on each
    file. Each listener marks its requests, and the mark is looked up in place of the host.
    """
    return discovery(
        ROUTES,
        [
            {
                "name": TABLE,
                "vhost_header": _MARK,
                "request_headers_to_remove": [_MARK],
                "virtual_hosts": sorted(splits, key=lambda each: str(each["name"])),
            }
        ],
    )


def listener_name(route: Route) -> str:
    """The listener of a route; one at another address is another listener."""
    return f"{encoded(route.name)}@{route.listen}"


def listener_of(route: Route, table_file: str) -> Document:
    """The address of a route."""
    return {
        "name": listener_name(route),
        "address": _socket(route.listen),
        # One worker: nothing to spread, and a taken port is refused and not shared.
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "http", "typed_config": _connections(route, table_file)}]}
        ],
    }


_RETRIES: Final[Document] = {
    # Only what was never sent is sent again: a change must not be applied twice.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"},
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.retry.priority.previous_priorities.v3"
            ".PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}


def _connections(route: Route, table_file: str) -> Document:
    return {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STATISTICS,
        "codec_type": "HTTP1",
        "http_protocol_options": {"accept_http_10": True},
        "stream_idle_timeout": "0s",
        "server_header_transformation": "PASS_THROUGH",
        "use_remote_address": True,
        "generate_request_id": False,
        "early_header_mutation_extensions": [_marking(route)],
        "rds": {"route_config_name": TABLE, "config_source": followed(table_file)},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }


def _domain(route: Route) -> str:
    """The mark of a route's requests; Envoy compares without regard to case."""
    return sha256(encoded(route.name).encode()).hexdigest()[:32]


def _marking(route: Route) -> Document:
    return {
        "name": "mark",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [
                {
                    "append": {
                        "header": {"key": _MARK, "value": _domain(route)},
                        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                    }
                }
            ],
        },
    }


def _backend(route: Route, name: str, suffix: str) -> Document:
    cluster = cluster_name(route.name, name, suffix)
    endpoint = {"endpoint": {"address": _socket(route.backends[name])}}
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
                "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
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
                "@type": f"{_EXTENSIONS}.clusters.aggregate.v3.ClusterConfig",
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


def _socket(address: Address) -> Document:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def followed(path: str) -> Document:
    """A file that Envoy reads again whenever it is replaced."""
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}
