"""Whether servers run, and are wanted to, as far as a status alone tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from draas.client.recent_changes import known_status
from draas.model.instance import InstanceState
from draas.model.status import InstanceStatus, RunState

LONGEST_SHOWN = 80
PLAIN = (InstanceStatus.CREATED, InstanceStatus.RUNNING, InstanceStatus.STOPPED)


class RunStates:
    """The states of instances whose control plane has but one status for everything (B-24).

    There a changed configuration is a status, in the place of whether the server runs, and what is
    wanted is not told at all: a stop is its user's. So the last plain word on it is kept.
    """

    def __init__(self) -> None:
        self._last: dict[str, InstanceStatus] = {}

    def learn(self, overwritten: Mapping[str, InstanceStatus]) -> None:
        """Take in what the statuses were whose place a changed configuration takes now.

        A failure does not tell whether its user had stopped the server before (B-24).
        """
        for name, told in overwritten.items():
            if told in PLAIN or (told is InstanceStatus.ERROR and name not in self._last):
                self._last[name] = told

    def state(self, item: Mapping[str, Any], desired_digest: str) -> InstanceState:
        """The state that an instance of the list is in; what nobody can tell is Unknown."""
        instance_id, reason = item["id"], None
        status = known_status(item.get("status"))
        if status in PLAIN:
            self._last[instance_id] = status
        last = self._last.get(instance_id, InstanceStatus.UNKNOWN)
        if status is InstanceStatus.UNKNOWN:
            reason = f"its status is {_shown(item.get('status'))}, which is not known"
        elif status is InstanceStatus.CONFIGURATION_CHANGED:
            status = last
            reason = "its configuration changed, and whether it ran was not seen"
        failed = status is InstanceStatus.ERROR and last is not InstanceStatus.STOPPED
        wanted = status is InstanceStatus.RUNNING or failed
        return InstanceState(
            id=instance_id,
            generation=0,
            desired_digest=desired_digest,
            desired_run_state=(RunState.RUNNING if wanted else RunState.STOPPED).value,
            status=status.value,
            reason=reason if status is InstanceStatus.UNKNOWN else None,
        )

    def keep(self, instance_ids: Iterable[str]) -> None:
        """Forget all others: they are gone."""
        self._last = {each: self._last[each] for each in instance_ids if each in self._last}


def _shown(value: Any) -> str:
    try:
        return repr(value)[:LONGEST_SHOWN]
    except (RecursionError, ValueError):  # an immense number has no text
        return f"a {type(value).__name__}"
