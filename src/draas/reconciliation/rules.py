"""The settings as the decisions take them."""

from __future__ import annotations

from draas.decide.analysis import AnalysisRules
from draas.decide.breaker import BreakerRules
from draas.decide.rules import Rules
from draas.reconciliation.options import DaemonSettings, OnUnknownActualState


def rules_of(settings: DaemonSettings) -> Rules:
    """The part of the settings that decisions depend on."""
    options, slots, health = settings.reconciliation, settings.two_slots, settings.health
    return Rules(
        strategy=options.default_strategy,
        approved_strategy=settings.approval.strategy,
        attempts=options.attempts,
        retry_delay=options.retry_delay,
        restart_delay=options.restart_delay,
        health_timeout=options.health_timeout,
        reconciliation_timeout=options.reconciliation_timeout,
        backoff_maximum=options.backoff_maximum,
        backoff_reset_after=options.backoff_reset_after,
        reconcile_error_instances=options.reconcile_error_instances,
        reconcile_stopped_instances=options.reconcile_stopped_instances,
        adopt_unknown=options.on_unknown_actual_state is OnUnknownActualState.ADOPT,
        stabilization_period=health.stabilization_period,
        minimum_healthy_time=health.minimum_healthy_time,
        health_failure_threshold=health.failure_threshold,
        canary_steps=settings.canary.steps,
        soak_time=settings.blue_green.soak_time,
        drain_time=slots.drain_time,
        allow_state_loss=slots.allow_state_loss,
        fleet_threshold=settings.quarantine.fleet_threshold,
        max_unavailable=settings.rollout.max_unavailable,
        max_failures=settings.rollout.max_failures,
        rollout_healthy_time=settings.rollout.minimum_healthy_time,
        analysis=analysis_rules_of(settings),
    )


def analysis_rules_of(settings: DaemonSettings) -> AnalysisRules:
    """The section `Analysis` as the verdict takes it."""
    options = settings.analysis
    return AnalysisRules(
        minimum_samples=options.minimum_samples,
        maximum_error_rate=options.maximum_error_rate,
        latency_quantile=options.latency_quantile,
        maximum_latency_ratio=options.maximum_latency_ratio,
        latency_slack=options.latency_slack,
        alpha=options.alpha,
        beta=options.beta,
        step_time=options.step_time,
        deadline=options.deadline,
        parity=options.parity,
    )


def breaker_rules_of(settings: DaemonSettings) -> BreakerRules:
    """The section `Breaker` as the decision takes it."""
    options = settings.breaker
    return BreakerRules(
        enabled=options.enabled,
        max_failing_share=options.max_failing_share,
        minimum_failing=options.minimum_failing,
        max_drifting_share=options.max_drifting_share,
        minimum_instances=options.minimum_instances,
        hold_time=options.hold_time,
    )
