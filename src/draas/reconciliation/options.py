"""What can be set in the daemon; the defaults of R-140 are kept unchanged (D-18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path

from draas.contract.urls import are_base_urls
from draas.decide.approval import MANUAL
from draas.decide.strategies import AUTO, STRATEGIES
from draas.reconciliation.rollout_options import QuarantineOptions, RolloutOptions
from draas.reconciliation.slot_options import (
    AnalysisOptions,
    BlueGreenOptions,
    CanaryOptions,
    HealthOptions,
    TwoSlotOptions,
)
from draas.settings import InvalidSettingError, load, require_loopback, setting
from draas.settings.store_url import URLS, require_store
from draas.telemetry.levels import LoggingSettings

AVAILABLE = (*STRATEGIES, AUTO)
"""Every strategy, and the choice of one."""
_ZERO = timedelta()
_INSTANT = timedelta(milliseconds=1)


class OnUnknownActualState(Enum):
    """What to do with a running server of which nothing is known (D-14)."""

    ADOPT = "Adopt"
    RECONCILE = "Reconcile"


@dataclass(frozen=True, slots=True)
class ReconciliationOptions:
    """The section `Reconciliation`."""

    polling_interval: timedelta = setting(
        timedelta(seconds=30),
        minimum=_ZERO,
        help="How often all instances are checked; `00:00:00` turns the periodic check off and "
        "leaves events on",
    )
    default_strategy: str = setting(
        "Restart", help="How drift is repaired where nothing else is said for an instance"
    )
    enable_auto_reconciliation: bool = setting(True, help="Check all instances periodically")
    enable_event_driven_reconciliation: bool = setting(
        True, help="Act at once when a configuration changes"
    )
    max_retries: int = setting(
        3,
        minimum=0,
        maximum=100,
        help="Attempts in all at one repair: 3 means three; 0 and 1 mean one",
    )
    retry_delay: timedelta = setting(
        timedelta(seconds=10),
        minimum=_ZERO,
        help="Wait before the second attempt; later waits grow from it",
    )
    max_concurrent_reconciliations: int = setting(
        5, minimum=1, maximum=1000, help="Repairs that may run at the same time"
    )
    enable_audit_logging: bool = setting(True, help="Record every action in the audit trail")
    reconciliation_timeout: timedelta = setting(
        timedelta(minutes=5),
        minimum=_INSTANT,
        help="Longest time that one repair may take; a start or stop that the control plane is "
        "still at is waited for (`Process:StartTimeout`)",
    )
    reconcile_error_instances: bool = setting(True, help="Repair instances with status `Error`")
    reconcile_stopped_instances: bool = setting(
        False,
        help="Renew the configuration of instances with status `Stopped`; they are not started",
    )
    event_poll_interval: timedelta = setting(
        timedelta(seconds=2),
        minimum=timedelta(milliseconds=100),
        help="How often changes are asked for where the control plane cannot hold the request open",
    )
    restart_delay: timedelta = setting(
        timedelta(seconds=2), minimum=_ZERO, help="Wait between stopping and starting an instance"
    )
    health_timeout: timedelta = setting(
        timedelta(seconds=30),
        minimum=_INSTANT,
        help="How long a started instance may take to be healthy with the wanted configuration",
    )
    control_plane_outage_threshold: timedelta = setting(
        timedelta(seconds=10),
        minimum=_ZERO,
        help="The daemon is not ready after the control plane was away this long",
    )
    shutdown_grace_period: timedelta = setting(
        timedelta(seconds=30), minimum=_ZERO, help="How long repairs may finish at shutdown"
    )
    backoff_maximum: timedelta = setting(
        timedelta(minutes=15), minimum=_ZERO, help="Longest wait between attempts"
    )
    backoff_reset_after: timedelta = setting(
        timedelta(minutes=10),
        minimum=_ZERO,
        help="Waits start from `RetryDelay` again after an instance was in sync this long",
    )
    run_initial_pass: bool = setting(True, help="Check all instances at once after the start")
    on_unknown_actual_state: OnUnknownActualState = setting(
        OnUnknownActualState.ADOPT,
        help="What to do with a running server of which nothing is known: take it as it is, or "
        "repair it",
    )
    request_timeout: timedelta = setting(
        timedelta(seconds=30), minimum=_INSTANT, help="Longest time of one request"
    )
    max_concurrent_reads: int = setting(
        20, minimum=1, maximum=1000, help="Requests that read state at the same time"
    )

    def __post_init__(self) -> None:
        if self.backoff_maximum < self.retry_delay:
            raise InvalidSettingError("backoff_maximum", "no less than Reconciliation:RetryDelay")

    @property
    def attempts(self) -> int:
        """Attempts in all at one repair (D-04)."""
        return max(1, self.max_retries)


@dataclass(frozen=True, slots=True)
class BreakerOptions:
    """The section `Breaker`: when to stop changing the fleet."""

    enabled: bool = setting(True, help="Stop repairs while too much of the fleet fails or drifts")
    max_failing_share: float = setting(
        0.5, minimum=0.0, maximum=1.0, help="Share of the fleet whose last repair may have failed"
    )
    minimum_failing: int = setting(
        10, minimum=1, help="Fewer failures than this never stop the fleet"
    )
    max_drifting_share: float = setting(
        0.5, minimum=0.0, maximum=1.0, help="Share of the fleet that may drift at once"
    )
    minimum_instances: int = setting(
        100, minimum=1, help="In a smaller fleet the share that drifts is not judged"
    )
    hold_time: timedelta = setting(
        timedelta(minutes=5), minimum=_ZERO, help="How long repairs stop before a new look"
    )


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The section `Audit`."""

    retention: timedelta = setting(
        timedelta(days=90), minimum=_INSTANT, help="How long audit entries are kept"
    )
    view_limit: int = setting(
        100, minimum=1, maximum=10_000, help="Entries of an instance in the default view"
    )


@dataclass(frozen=True, slots=True)
class ApprovalOptions:
    """The section `Approval`: what follows where `Manual` waits for a person."""

    strategy: str = setting("Restart", help="How an approved plan is carried out")
    lifetime: timedelta = setting(
        timedelta(hours=1), minimum=_INSTANT, help="How long an approval counts"
    )


@dataclass(frozen=True, slots=True)
class ManagementOptions:
    """The section `Management`: where the daemon itself listens."""

    host: str = setting("127.0.0.1", help="Address that the daemon listens on")
    port: int = setting(
        8080, minimum=0, maximum=65_535, help="Port that the daemon listens on; 0 takes a free one"
    )
    allow_remote_access_without_authentication: bool = setting(
        False, help="Listen on other addresses than loopback, where anyone may give orders"
    )

    advertised_url: str = setting(
        "", help="URL at which other daemons reach this one; empty: the address it listens on"
    )

    def __post_init__(self) -> None:
        require_loopback("Management", self.host, self.allow_remote_access_without_authentication)


class LeaseKeeper(Enum):
    """Where it is kept which daemon works on what."""

    STORE = "Store"
    KUBERNETES = "Kubernetes"


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """The section `Kubernetes`."""

    namespace: str = setting(
        "",
        help="Namespace of the Lease objects, one a fleet; empty for that of the service account "
        "or the kubeconfig",
    )


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """Everything that can be set in the daemon."""

    control_plane_url: str = setting(
        "http://localhost:5000",
        form="an http or https URL, or several",
        help="Where the control plane listens; several that share a store with commas between",
    )
    store: str = setting(
        "",
        form=URLS,
        secret=True,
        help="Where the daemon keeps its audit and open operations; empty for a file in the data "
        "directory",
    )
    leases: LeaseKeeper = setting(
        LeaseKeeper.STORE,
        help="Where daemons agree who works on what: in the store, or by Lease objects of "
        "Kubernetes (needs a PostgreSQL store, and the extra `kubernetes`)",
    )
    kubernetes: KubernetesOptions = field(default_factory=KubernetesOptions)
    reconciliation: ReconciliationOptions = field(default_factory=ReconciliationOptions)
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    audit: AuditOptions = field(default_factory=AuditOptions)
    approval: ApprovalOptions = field(default_factory=ApprovalOptions)
    rollout: RolloutOptions = field(default_factory=RolloutOptions)
    quarantine: QuarantineOptions = field(default_factory=QuarantineOptions)
    health: HealthOptions = field(default_factory=HealthOptions)
    two_slots: TwoSlotOptions = field(default_factory=TwoSlotOptions)
    canary: CanaryOptions = field(default_factory=CanaryOptions)
    blue_green: BlueGreenOptions = field(default_factory=BlueGreenOptions)
    analysis: AnalysisOptions = field(default_factory=AnalysisOptions)
    management: ManagementOptions = field(default_factory=ManagementOptions)
    logging: LoggingSettings = field(default_factory=LoggingSettings)

    def __post_init__(self) -> None:
        if not are_base_urls(self.control_plane_url):
            raise InvalidSettingError(
                "control_plane_url",
                "an http or https URL with a host and without user, query or fragment, such as "
                "http://localhost:5000",
            )
        require_store(self.store)
        alone = self.store == "" or self.store.startswith("sqlite")
        if self.leases is LeaseKeeper.KUBERNETES and alone:
            raise InvalidSettingError("leases", "Store, unless Store is a postgresql:// URL")


def load_daemon_settings(
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    *,
    available_strategies: Sequence[str] = AVAILABLE,
    also: Mapping[str, type] | None = None,
) -> DaemonSettings:
    """`draas.settings.load` for the daemon: only strategies that exist can be the default."""
    return load(
        DaemonSettings,
        directory=directory,
        environ=environ,
        arguments=arguments,
        also=also,
        choices=choices(available_strategies),
    )


def choices(available_strategies: Sequence[str] = AVAILABLE) -> dict[str, Sequence[str]]:
    """What may stand where a strategy is named: one that exists."""
    return {
        "Reconciliation:DefaultStrategy": (*available_strategies, MANUAL),
        "Approval:Strategy": available_strategies,
    }
