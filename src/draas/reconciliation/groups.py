"""The instances of a fleet by the value of one label."""

from __future__ import annotations

from collections import Counter

import msgspec

from draas.model.instance import InstanceState


class Groups:
    """How many there are in each group; those without the label are the group without a name.

    Of the labels of an instance only the one that counts is kept, once for a whole group.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._kept: dict[str, dict[str, str]] = {}
        self._sizes: Counter[str] = Counter()

    def put(self, state: InstanceState, instead_of: InstanceState | None) -> InstanceState:
        """Count an instance; its state as it is to be kept."""
        group = self.of(state)
        self.forget(instead_of)
        self._sizes[group] += 1
        if state.labels is msgspec.UNSET:
            return state
        kept = self._kept.setdefault(group, {self.label: group}) if group else msgspec.UNSET
        return msgspec.structs.replace(state, labels=kept)

    def forget(self, state: InstanceState | None) -> None:
        """Count an instance no more."""
        if state is not None:
            self._sizes[self.of(state)] -= 1

    def of(self, state: InstanceState | None) -> str:
        """The group of an instance."""
        if not self.label or state is None or isinstance(state.labels, msgspec.UnsetType):
            return ""
        return state.labels.get(self.label, "")

    def size(self, group: str) -> int:
        """How many instances are in a group."""
        return self._sizes[group]
