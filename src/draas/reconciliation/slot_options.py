"""What can be set for strategies by two slots: health, steps, soak, analysis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from draas.contract.urls import is_base_url
from draas.reconciliation.smoke_tests import SmokeTestsError, read_smoke_tests
from draas.settings import InvalidSettingError, setting

_ZERO = timedelta()
_INSTANT = timedelta(milliseconds=1)


class CounterSource(Enum):
    """Who counts what the slots were sent."""

    ROUTER = "router"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class HealthOptions:
    """The section `Health`."""

    minimum_healthy_time: timedelta = setting(
        timedelta(seconds=5),
        minimum=_ZERO,
        help="How long a second slot must be healthy on end before it gets any traffic",
    )
    stabilization_period: timedelta = setting(
        _ZERO,
        minimum=_ZERO,
        help="How long a restarted or changed server must be healthy on end to count as repaired",
    )
    failure_threshold: int = setting(
        3, minimum=1, maximum=100, help="Bad looks in a row that condemn what was good"
    )


@dataclass(frozen=True, slots=True)
class TwoSlotOptions:
    """The section `TwoSlots`."""

    allow_state_loss: bool = setting(
        False, help="Go on where queries would begin empty in the second slot"
    )
    drain_time: timedelta = setting(
        timedelta(seconds=30),
        minimum=_ZERO,
        maximum=timedelta(minutes=10),
        help="How long requests and streams of a slot may end before it is removed",
    )


@dataclass(frozen=True, slots=True)
class CanaryOptions:
    """The section `Canary`."""

    steps: tuple[int, ...] = setting(
        (5, 25, 50, 100),
        minimum=1,
        maximum=100,
        help="Shares of the traffic in percent, ever larger, the last one 100",
    )

    def __post_init__(self) -> None:
        grows = all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or not grows or self.steps[-1] != 100:
            raise InvalidSettingError("steps", "percentages, ever larger, of which the last is 100")


@dataclass(frozen=True, slots=True)
class BlueGreenOptions:
    """The section `BlueGreen`."""

    soak_time: timedelta = setting(
        timedelta(minutes=5),
        minimum=_ZERO,
        help="How long the new slot is watched in service while the old one is kept",
    )
    smoke_tests: str = setting(
        "",
        form="a path",
        help="A JSON file with the smoke tests that a new slot must pass before it serves",
    )

    def __post_init__(self) -> None:
        try:
            read_smoke_tests(self.smoke_tests)
        except SmokeTestsError as error:
            raise InvalidSettingError("smoke_tests", f"a list of smoke tests; {error}") from None


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """The section `Analysis`: when a canary is as good as what serves."""

    minimum_samples: int = setting(
        50, minimum=1, help="Requests that a slot must have answered to be judged"
    )
    maximum_error_rate: float = setting(
        0.05,
        minimum=0.0001,
        maximum=0.5,
        help="Share of failed requests, beyond that of the serving slot, that is too much",
    )
    latency_quantile: float = setting(
        0.95, minimum=0.5, maximum=0.999, help="Quantile of the latency that is compared"
    )
    maximum_latency_ratio: float = setting(
        1.5, minimum=1.0, maximum=100.0, help="How many times the serving slot's latency is allowed"
    )
    latency_slack: timedelta = setting(
        timedelta(milliseconds=5), minimum=_ZERO, help="Latency that is allowed on top"
    )
    alpha: float = setting(
        0.01, minimum=0.000001, maximum=0.2, help="Chance that a good one fails a step for errors"
    )
    beta: float = setting(
        0.05, minimum=0.000001, maximum=0.5, help="Chance that one with too many errors passes"
    )
    step_time: timedelta = setting(
        timedelta(seconds=30), minimum=_ZERO, help="Shortest time of a step"
    )
    deadline: timedelta = setting(
        timedelta(minutes=5),
        minimum=_INSTANT,
        help="A step without new requests for so long is held until there are some, or a person "
        "decides",
    )
    parity: bool = setting(True, help="Ask that unchanged queries give the same rows in both slots")
    source: CounterSource = setting(
        CounterSource.ROUTER, help="Whose counters are judged: the router's, or those in Prometheus"
    )
    prometheus_url: str = setting(
        "", help="Where Prometheus answers, such as http://localhost:9090"
    )
    requests_query: str = setting(
        'sum(envoy_cluster_upstream_rq_completed{{envoy_cluster_name="{instance}/{slot}"}})',
        help="PromQL for all requests that a slot answered; {instance} and {slot} are put in, and "
        "braces of PromQL are doubled",
    )
    errors_query: str = setting(
        'sum(envoy_cluster_upstream_rq_xx{{envoy_cluster_name="{instance}/{slot}",'
        'envoy_response_code_class="5"}})',
        help="PromQL for those that failed",
    )
    latency_query: str = setting(
        "sum by (le) (envoy_cluster_upstream_rq_time_bucket{{"
        'envoy_cluster_name="{instance}/{slot}"}})',
        help="PromQL for the buckets of the latency in ms, by le",
    )

    def __post_init__(self) -> None:
        asks = self.source is CounterSource.PROMETHEUS
        if (asks or self.prometheus_url) and not is_base_url(self.prometheus_url):
            raise InvalidSettingError("prometheus_url", "an http or https URL of a Prometheus")
        for name in ("requests_query", "errors_query", "latency_query"):
            try:
                getattr(self, name).format(instance="i", slot="s")
            except (KeyError, IndexError, ValueError):
                raise InvalidSettingError(
                    name, "PromQL with {instance} and {slot}, its own braces doubled"
                ) from None
