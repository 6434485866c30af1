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


class ConfigurationError(ValueError):
    """A document that cannot be read as a configuration; `faults` holds every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults: tuple[Fault, ...] = tuple(faults)
