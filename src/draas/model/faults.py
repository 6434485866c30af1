"""What is wrong with a document: every fault by path, so that one answer names them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, the value found there (secrets masked), and the way out."""

    path: str
    value: Any
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'document'}: {self.message}"


MOST_FAULTS = 500
"""So many are told at once: whoever sends a flood of them is not answered with a larger one."""


class ConfigurationError(ValueError):
    """A document that cannot be read as a configuration; `faults` holds every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults: tuple[Fault, ...] = tuple(faults)


class Faults(list[Fault]):
    """Faults as they are found; one too many ends the search."""

    def append(self, fault: Fault) -> None:
        """Take in a fault.

        Raises:
            ConfigurationError: with those found so far, and that there are more.
        """
        if len(self) == MOST_FAULTS:
            more = "there are more faults: mend these first"
            raise ConfigurationError([*self, Fault("document", None, more)])
        super().append(fault)
