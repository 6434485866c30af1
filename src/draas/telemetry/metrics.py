"""Metrics in Prometheus' text form (R-208): every name once, every label from a closed set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from draas.telemetry import labels
from draas.telemetry.labels import Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)


class DaemonMetrics:
    """What the daemon counts; gauges without labels are set directly."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no hint here
        self._registry = registry = CollectorRegistry()
        self._cycles = Counter(
            "reconciliation_cycles", "Periodic cycles that were completed", registry=registry
        )
        self._failed_cycles = Counter(
            "reconciliation_cycle_failures",
            "Periodic cycles in which the fleet could not be read",
            registry=registry,
        )
        self._drift = Counter(
            "reconciliation_drift_detected",
            "Instances found with drift",
            ["kind"],
            registry=registry,
        )
        self._successes = Counter(
            "reconciliation_success",
            "Reconciliations that succeeded",
            ["strategy", "trigger"],
            registry=registry,
        )
        self._failures = Counter(
            "reconciliation_failures",
            "Reconciliations that failed",
            ["strategy", "trigger", "reason"],
            registry=registry,
        )
        self._duration = Histogram(
            "reconciliation_duration_seconds",
            "Time of a reconciliation",
            ["strategy", "outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._skipped = Counter(
            "reconciliation_skipped",
            "Looks that ended without a repair",
            ["reason"],
            registry=registry,
        )
        self._drifting = Gauge(
            "reconciliation_instances_drifting",
            "Instances that drift now",
            ["kind"],
            registry=registry,
        )
        self.queue_depth = _gauge(registry, "queue_depth", "Instances that wait for a look")
        self.in_flight = _gauge(registry, "in_flight", "Reconciliations that run now")
        self.event_lag = _gauge(
            registry, "event_lag_seconds", "Age of the last change when it was taken from the feed"
        )
        self.control_plane_up = _gauge(
            registry, "control_plane_up", "1 while the control plane can be reached"
        )
        self.breaker_open = _gauge(
            registry, "breaker_open", "1 while reconciliation is stopped for the whole fleet"
        )
        self.shards_held = _gauge(registry, "shards_held", "Shards of the fleet worked on here")
        self.replicas = _gauge(registry, "replicas", "Daemons that share the fleet")
        self.leads = _gauge(registry, "leads", "1 where the fleet's breaker is decided")

    def cycle_completed(self) -> None:
        """One more periodic cycle."""
        self._cycles.inc()

    def cycle_failed(self) -> None:
        """A periodic cycle that learned nothing (B-07)."""
        self._failed_cycles.inc()

    def drift_detected(self, kind: object) -> None:
        """One more instance found with drift of `kind` (labels.DRIFT_KINDS)."""
        self._drift.labels(labels.DRIFT_KINDS.of(kind)).inc()

    def succeeded(self, strategy: object, trigger: object, seconds: float) -> None:
        """A reconciliation that took `seconds` succeeded."""
        self._successes.labels(labels.STRATEGIES.of(strategy), labels.TRIGGERS.of(trigger)).inc()
        self._observe(strategy, "success", seconds)

    def failed(
        self, strategy: object, trigger: object, reason: object, outcome: object, seconds: float
    ) -> None:
        """A reconciliation ended after `seconds` with an `outcome` that is not success."""
        self._failures.labels(
            labels.STRATEGIES.of(strategy),
            labels.TRIGGERS.of(trigger),
            labels.FAILURE_REASONS.of(reason),
        ).inc()
        self._observe(strategy, outcome, seconds)

    def skipped(self, reason: object) -> None:
        """One more look that ended without a repair (labels.SKIP_REASONS)."""
        self._skipped.labels(labels.SKIP_REASONS.of(reason)).inc()

    def instances_drifting(self, counts: Mapping[str, int]) -> None:
        """How many instances drift now, by kind; a kind that is left out has none."""
        _set_all(self._drifting, labels.DRIFT_KINDS, counts)

    def render(self) -> bytes:
        """All series as text of CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _observe(self, strategy: object, outcome: object, seconds: float) -> None:
        self._duration.labels(labels.STRATEGIES.of(strategy), labels.OUTCOMES.of(outcome)).observe(
            seconds
        )


class ControlPlaneMetrics:
    """What the control plane counts; `routes` are the path templates that it serves."""

    def __init__(self, routes: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no hint here
        self._registry = registry = CollectorRegistry()
        self._routes = Labels(routes)
        self._requests = Counter(
            "draas_control_plane_requests",
            "Requests that were answered",
            ["method", "route", "status"],
            registry=registry,
        )
        self._operations = Counter(
            "draas_control_plane_operations",
            "Things done to instances",
            ["operation", "outcome"],
            registry=registry,
        )
        self._instances = Gauge(
            "draas_control_plane_instances", "Instances by status", ["status"], registry=registry
        )
        self.changes_sequence = Gauge(
            "draas_control_plane_changes_sequence", "Number of the last change", registry=registry
        )

    def answered(self, method: str, route: str, status: int) -> None:
        """One more request to the path template `route` was answered with `status`."""
        self._requests.labels(
            labels.METHODS.of(method), self._routes.of(route), labels.STATUS_CODES.of(status)
        ).inc()

    def operated(self, operation: object, outcome: object) -> None:
        """One more `operation` (labels.OPERATIONS) ended with `outcome` (labels.OUTCOMES)."""
        self._operations.labels(labels.OPERATIONS.of(operation), labels.OUTCOMES.of(outcome)).inc()

    def instances(self, counts: Mapping[str, int]) -> None:
        """How many instances there are by status; a status that is left out has none."""
        _set_all(self._instances, labels.INSTANCE_STATUSES, counts)

    def render(self) -> bytes:
        """All series as text of CONTENT_TYPE."""
        return generate_latest(self._registry)


def _gauge(registry: CollectorRegistry, name: str, text: str) -> Gauge:
    return Gauge(f"reconciliation_{name}", text, registry=registry)


def _set_all(gauge: Gauge, names: Labels, counts: Mapping[str, int]) -> None:
    totals = dict.fromkeys(names.values, 0)
    for name, count in counts.items():
        totals[names.of(name)] += count
    for name, total in totals.items():
        gauge.labels(name).set(total)
