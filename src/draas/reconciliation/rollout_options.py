"""What can be set for the same new configuration over many instances."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from draas.settings import InvalidSettingError, setting

_LIMIT = re.compile(r"[1-9][0-9]{0,5}|(?:[1-9][0-9]?|100)%")


@dataclass(frozen=True, slots=True)
class RolloutOptions:
    """The section `Rollout`."""

    max_unavailable: str = setting(
        "",
        form="a count, or a share such as 10%",
        help="How many instances may be brought to the same configuration at once, or not be "
        "proven yet, by number or as a share of the fleet; empty: as many as there are places",
    )
    group_by: str = setting(
        "",
        help="The name of a label: the limit counts for the instances of each value by themselves",
    )
    minimum_healthy_time: timedelta = setting(
        timedelta(seconds=10),
        minimum=timedelta(),
        help="How long after its change an instance counts as not proven yet",
    )
    max_failures: int = setting(
        1, minimum=0, help="On how many instances a configuration may fail before it is stopped"
    )

    def __post_init__(self) -> None:
        if self.max_unavailable and not _LIMIT.fullmatch(self.max_unavailable):
            raise InvalidSettingError("max_unavailable", "a count such as 5, a share such as 10%")


@dataclass(frozen=True, slots=True)
class QuarantineOptions:
    """The section `Quarantine`."""

    fleet_threshold: int = setting(
        2,
        minimum=1,
        help="On so many instances a configuration must fail to be in quarantine for all",
    )
