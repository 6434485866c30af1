"""The addresses of routes, and how their requests are split, as Envoy reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from draas.adapters.routers.envoy_clusters import FAILOVER, MIRROR, cluster_name
from draas.adapters.routers.envoy_documents import (
    EXTENSIONS,
    Document,
    discovery,
    followed,
    socket_address,
)
from draas.adapters.routers.names import encoded
from draas.control_plane.router import Route

LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

TABLE: Final = "all"
STATISTICS: Final = "routes"

_MARK = "x-draas-route"


def split_name(route: str) -> str:
    """The virtual host of a route."""
    return f"{encoded(route)}@"


def split_of(route: Route) -> Document:
    """How the requests of a route are split: the only document that a change of weights touches.

    A single backend with weight gets its requests directly, so that none without weight is ever
    reached by failover; neither is a push, of which the other backend has a copy.
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
    routes = [{"match": {"prefix": "/"}, "route": _action(targets, mirrors)}]
    if route.pushes_to:
        whole = [{"name": cluster_name(route.name, route.pushes_to), "weight": 100}]
        routes = [
            {"match": _PUSHES, "route": _action(whole, mirrors)},
            {"match": {"prefix": "/"}, "route": _action(targets, [])},
        ]
    return {"name": split_name(route.name), "domains": [_domain(route)], "routes": routes}


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


def listener_of(route: Route, table_file: str, host: str) -> Document:
    """The address of a route; Envoy wants its `host` as a number."""
    return {
        "name": listener_name(route),
        "address": socket_address(replace(route.listen, host=host)),
        # One worker: nothing to spread, and a taken port is refused and not shared.
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "http", "typed_config": _connections(route, table_file)}]}
        ],
    }


def _action(targets: list[Document], mirrors: list[Document]) -> Document:
    return {
        "weighted_clusters": {"clusters": targets},
        # Streams and long requests last as long as they last.
        "timeout": "0s",
        "idle_timeout": "0s",
        "retry_policy": _RETRIES,
        "request_mirror_policies": mirrors,
    }


_PUSHES: Final[Document] = {
    "safe_regex": {"regex": "/api/v1/(instances/[^/]+/)?sources/[^/]+/push"},
    "headers": [{"name": ":method", "string_match": {"exact": "POST"}}],
}

_RETRIES: Final[Document] = {
    # Only what was never sent is sent again: a change must not be applied twice.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"},
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": f"{EXTENSIONS}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}


def _connections(route: Route, table_file: str) -> Document:
    return {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
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
                    "@type": f"{EXTENSIONS}.filters.http.router.v3.Router",
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
            "@type": f"{EXTENSIONS}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
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
