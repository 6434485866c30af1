"""What Envoy reads when it starts: where the rest is, and how it counts."""

from __future__ import annotations

from typing import Final

from draas.adapters.routers.envoy_documents import Document, followed

_DECADE = (10, 12, 16, 20, 25, 32, 40, 50, 64, 80)
ANY_TIME: Final = 10**12
BUCKETS: Final = (
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    *(step * 10**power for power in range(4) for step in _DECADE),
    ANY_TIME,
)
"""Upper bounds in milliseconds, each a fourth above the last: Envoy counts whole milliseconds."""


_READ = (
    r"^(cluster\..*\.(upstream_rq_(\d\d\d|time|retry|active|pending_active)|upstream_cx_total"
    r"|membership_healthy|warming_state)"
    r"|(cluster_manager\.cds|listener_manager\.lds|http\.[^.]*\.rds\.[^.]*)"
    r"\.(version_text|update_rejected|update_failure))$"
)
"""What is read, and `upstream_cx_total`, by which Envoy knows whether a cluster is in use.

Envoy keeps hundreds of statistics a cluster, and each question of ours goes through all of them.
"""


def boot(admin: str, clusters: str, listeners: str) -> Document:
    """The boot file: where the rest is read from, and how it is counted."""
    return {
        "node": {"id": "draas", "cluster": "draas"},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "stats_flush_interval": "1s",
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"safe_regex": {"regex": _READ}}]}},
            "histogram_bucket_settings": [
                {"match": {"prefix": "cluster."}, "buckets": list(BUCKETS)}
            ],
        },
        "dynamic_resources": {
            "cds_config": followed(clusters),
            "lds_config": followed(listeners),
        },
    }
