"""Every log message once: category, level and text (R-130 to the letter, D-09; R-182).

Names in braces are the fields that `logs.emit` takes; JSON carries them in camel case.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

from draas.telemetry.levels import LogLevel

_LOOP = "DRaaS.Reconciliation.ReconciliationBackgroundService"
_SERVICE = "DRaaS.Reconciliation.ReconciliationService"
_CLIENT = "DRaaS.Reconciliation.ReconciliationApiClient"
_RESTART = "DRaaS.Reconciliation.Strategies.RestartReconciliationStrategy"
_CONTROL_PLANE = "DRaaS.ControlPlane"
_LIFETIME = "Microsoft.Hosting.Lifetime"
_TRACE = LogLevel.TRACE
_DEBUG = LogLevel.DEBUG
_INFO = LogLevel.INFORMATION
_WARNING = LogLevel.WARNING
_ERROR = LogLevel.ERROR


@dataclass(frozen=True, slots=True)
class Message:
    """One kind of log line; `event_id` is what .NET's console prints in brackets."""

    category: str
    level: LogLevel
    template: str
    event_id: int = 0

    @property
    def fields(self) -> frozenset[str]:
        """The names in the template; all of them must be given."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.template) if name)


# The process
NOW_LISTENING = Message(_LIFETIME, _INFO, "Now listening on: {url}", 14)
APPLICATION_STARTED = Message(_LIFETIME, _INFO, "Application started. Press Ctrl+C to shut down.")
APPLICATION_STOPPING = Message(_LIFETIME, _INFO, "Application is shutting down...")

# The daemon's loops
STARTING = Message(_LOOP, _INFO, "Reconciliation Background Service starting...")
STOPPING = Message(_LOOP, _INFO, "Reconciliation Background Service stopping...")
LEFT_OPEN = Message(
    _LOOP,
    _WARNING,
    "Leaving {count} reconciliations unfinished, as ShutdownGracePeriod is over; the next start "
    "finishes them: {instances}",
)
EVENT_DRIVEN_ENABLED = Message(_LOOP, _INFO, "Event-driven reconciliation enabled")
EVENT_DRIVEN_BY_POLLING = Message(
    _LOOP, _INFO, "Event-driven reconciliation enabled (API polling mode)"
)
EVENT_DRIVEN_DISABLED = Message(_LOOP, _INFO, "Event-driven reconciliation disabled")
BY_HAND_ONLY = Message(
    _LOOP, _WARNING, "Nothing is reconciled by itself: drift is shown, and repaired only when asked"
)
PERIODIC_ENABLED = Message(
    _LOOP, _INFO, "Periodic reconciliation enabled with interval: {interval}"
)
PERIODIC_DISABLED = Message(_LOOP, _INFO, "Periodic reconciliation disabled")
CYCLE_STARTING = Message(_LOOP, _DEBUG, "Starting periodic reconciliation cycle")
CYCLE_COMPLETE = Message(
    _LOOP,
    _INFO,
    "Reconciliation cycle complete. Checked: {checked}, Drift detected: {drift_detected}, "
    "Reconciled: {reconciled}, Failed: {failed}",
)
CYCLE_ERROR = Message(_LOOP, _ERROR, "Error during periodic reconciliation cycle")
EVENT_POLL_ERROR = Message(_LOOP, _ERROR, "Error polling for status changes from ControlPlane")
CONFIGURATION_CHANGED = Message(
    _LOOP,
    _INFO,
    "Configuration change detected for instance {instance_id}, triggering reconciliation",
)
RECONCILED = Message(
    _LOOP, _INFO, "Successfully reconciled instance {instance_id} using {strategy}"
)
RECONCILE_FAILED = Message(_LOOP, _WARNING, "Failed to reconcile instance {instance_id}: {reason}")
NO_DRIFT = Message(_LOOP, _DEBUG, "No drift detected for instance {instance_id}")
CONTROL_PLANE_LOST = Message(
    _LOOP, _WARNING, "ControlPlane cannot be reached; nothing is decided until it is back: {reason}"
)
CONTROL_PLANE_BACK = Message(_LOOP, _INFO, "ControlPlane is reachable again")
FULL_RESYNC = Message(_LOOP, _INFO, "Checking all instances: {reason}")
STORE_ERROR = Message(
    _LOOP, _ERROR, "The daemon's own store cannot be used; it is tried again: {reason}"
)
LEASES_LAPSED = Message(
    _LOOP, _WARNING, "The leases could not be renewed in time: nothing is touched until they are"
)
LEASE_LOST = Message(_LOOP, _INFO, "Leaving instance {instance_id} to others: {reason}")
FENCED = Message(
    _LOOP, _WARNING, "The control plane refused an order for instance {instance_id}: {reason}"
)
SHARDS_HELD = Message(_LOOP, _INFO, "Working on {held} of {total} shards; {members} members")
OUTRANKED = Message(
    _LOOP,
    _ERROR,
    "Another daemon, with a store of its own, works on the same instances ({shards}): they are "
    "left to it for five minutes; run one of the two, or give both one --Store",
)
LIMITED_CONTROL_PLANE = Message(
    _LOOP, _WARNING, "ControlPlane serves only the basic endpoints; not available: {missing}"
)
BREAKER_OPENED = Message(_LOOP, _ERROR, "Reconciliation stopped for the whole fleet: {reason}")
BREAKER_CLOSED = Message(_LOOP, _INFO, "Reconciliation allowed again for the whole fleet")

# One instance
DRIFT_DETECTED = Message(
    _SERVICE, _INFO, "Drift detected for instance '{instance_id}': {differences}"
)
STRATEGY_SELECTED = Message(
    _SERVICE, _DEBUG, "Selected strategy {strategy} for instance '{instance_id}': {reason}"
)
RECONCILIATION_SUCCESSFUL = Message(
    _SERVICE,
    _INFO,
    "Reconciliation successful for instance '{instance_id}' (attempt {attempt} of {attempts})",
)
ATTEMPT_FAILED = Message(
    _SERVICE,
    _WARNING,
    "Reconciliation failed for instance '{instance_id}' (attempt {attempt} of {attempts}), "
    "next in {delay}: {reason}",
)
ATTEMPTS_EXHAUSTED = Message(
    _SERVICE,
    _ERROR,
    "Reconciliation failed for instance '{instance_id}' (attempt {attempt} of {attempts}): "
    "{reason}",
)
TIMED_OUT = Message(_SERVICE, _ERROR, "Reconciliation timed out after {timeout}")
ADOPTED = Message(_SERVICE, _INFO, "Adopted instance '{instance_id}' as it is running")
ROLLED_BACK = Message(
    _SERVICE,
    _WARNING,
    "Brought back the last good configuration of instance '{instance_id}': {reason}",
)
QUARANTINED = Message(
    _SERVICE,
    _WARNING,
    "Configuration {digest} of instance '{instance_id}' failed and is not tried again until it "
    "changes or is released",
)
SKIPPED_CONCURRENCY = Message(
    _SERVICE,
    _INFO,
    "Skipped instance '{instance_id}' for now: {limit} reconciliations are running "
    "(MaxConcurrentReconciliations)",
)
SKIPPED_ERROR = Message(
    _SERVICE,
    _INFO,
    "Skipped instance '{instance_id}': its status is Error and ReconcileErrorInstances is false",
)
SKIPPED_STOPPED = Message(
    _SERVICE,
    _INFO,
    "Skipped instance '{instance_id}': its status is Stopped and ReconcileStoppedInstances is "
    "false",
)
SKIPPED = Message(_SERVICE, _INFO, "Skipped instance '{instance_id}': {reason}")

# The restart strategy
RESTART_STARTING = Message(
    _RESTART, _INFO, "Starting restart reconciliation for instance '{instance_id}'"
)
APPLYING_IN_PLACE = Message(_SERVICE, _INFO, "Changing instance '{instance_id}' in place")
FELL_BACK = Message(
    _SERVICE, _INFO, "Instance '{instance_id}' is reconciled by {strategy} instead: {reason}"
)
RESTART_STOPPING_INSTANCE = Message(_RESTART, _DEBUG, "Stopping instance {instance_id}")
RESTART_STARTING_INSTANCE = Message(
    _RESTART, _DEBUG, "Starting instance {instance_id} with new configuration"
)
RESTART_SUCCESSFUL = Message(
    _RESTART, _INFO, "Successfully reconciled instance {instance_id} using restart strategy"
)
RESTART_CANCELLED = Message(
    _RESTART, _WARNING, "Reconciliation cancelled for instance {instance_id}"
)
RESTART_ERROR = Message(
    _RESTART, _ERROR, "Error during restart reconciliation for instance {instance_id}"
)
RESTART_STOP_FAILED = Message(_RESTART, _ERROR, "Failed to stop instance {instance_id}")
RESTART_START_FAILED = Message(_RESTART, _ERROR, "Failed to start instance {instance_id}")
INSTANCE_NOT_FOUND = Message(_RESTART, _ERROR, "Instance {instance_id} not found")

# Two slots
OPENING_SLOT = Message(
    _SERVICE, _INFO, "Opening a second slot of instance '{instance_id}' with {digest}"
)
SHIFTED = Message(
    _SERVICE, _INFO, "{percent} % of the traffic of instance '{instance_id}' go to its new slot"
)
SWITCHED = Message(_SERVICE, _INFO, "Slot {slot} of instance '{instance_id}' serves")
TAKEN_BACK = Message(
    _SERVICE, _WARNING, "All traffic of instance '{instance_id}' is back at slot {slot}"
)
SLOT_CLOSED = Message(_SERVICE, _INFO, "Removed slot {slot} of instance '{instance_id}'")
OBEYED = Message(_SERVICE, _INFO, "The work on instance '{instance_id}' is {what}")
UNUSABLE_STRATEGY = Message(_LOOP, _WARNING, "The strategy {strategy} cannot be used: {reason}")

# The client of the control plane
API_CALL = Message(_CLIENT, _DEBUG, "{method} {path} answered {status_code} in {milliseconds} ms")
API_READ = Message(_CLIENT, _TRACE, "{method} {path} answered {status_code} in {milliseconds} ms")
INSTANCE_STOPPED = Message(_CLIENT, _INFO, "Successfully stopped instance '{instance_id}'")
INSTANCE_STARTED = Message(_CLIENT, _INFO, "Successfully started instance '{instance_id}'")
STOP_REFUSED = Message(
    _CLIENT, _WARNING, "Failed to stop instance {instance_id}. Status: {status_code}"
)
START_REFUSED = Message(
    _CLIENT, _WARNING, "Failed to start instance {instance_id}. Status: {status_code}"
)
STOP_ERROR = Message(_CLIENT, _ERROR, "Error stopping instance {instance_id}")
START_ERROR = Message(_CLIENT, _ERROR, "Error starting instance {instance_id}")
CALL_FAILED = Message(_CLIENT, _WARNING, "Failed to {what}: {reason}")
LIST_ERROR = Message(_CLIENT, _ERROR, "Failed to get all instances from ControlPlane")
INSTANCE_READ_ERROR = Message(
    _CLIENT, _ERROR, "Failed to get instance {instance_id} from ControlPlane"
)
CONFIGURATION_READ_ERROR = Message(
    _CLIENT, _ERROR, "Failed to get configuration for instance {instance_id}"
)
CHANGES_READ_ERROR = Message(
    _CLIENT, _ERROR, "Failed to get recent status changes from ControlPlane"
)

# The control plane
INSTANCE_CHANGED = Message(
    _CONTROL_PLANE, _INFO, "{kind} of instance '{instance_id}' by {actor} ({detail})"
)
INSTANCE_FAILED = Message(_CONTROL_PLANE, _WARNING, INSTANCE_CHANGED.template)
REQUEST_FAILED = Message(
    _CONTROL_PLANE, _ERROR, "Request {request_id} failed unexpectedly: {error} in {where}"
)
CONTROL_PLANE_STORE_FAILED = Message(
    _CONTROL_PLANE, _ERROR, "The control plane's store cannot be used: {reason}"
)
ADOPTED_AT_START = Message(
    _CONTROL_PLANE, _INFO, "Took over {adopted} running servers of {instances} instances"
)
ROUTE_FAILED = Message(_CONTROL_PLANE, _ERROR, "Route {route} cannot be opened: {reason}")
ROUTER_ENDED = Message(
    _CONTROL_PLANE, _WARNING, "The router {program} has ended; it is started anew in {delay} s"
)
DATA_NOT_KEPT = Message(
    _CONTROL_PLANE,
    _WARNING,
    "What the sources of instance {instance_id} brought is not kept: {reason}",
)
HOST_GONE = Message(
    _CONTROL_PLANE,
    _WARNING,
    "Host {host_id} at {url} is not heard of: nobody knows what its instances do",
)
HOST_BACK = Message(_CONTROL_PLANE, _INFO, "Host {host_id} at {url} is heard of again")


def catalogue() -> dict[str, Message]:
    """All messages of this module by their names."""
    return {name: each for name, each in globals().items() if isinstance(each, Message)}
