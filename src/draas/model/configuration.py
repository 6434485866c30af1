"""The configuration of a Drasi server: its stored form, its normal form, its digest.

The whole document is kept: typed common fields, and every other property as it was given (B-14).
Values are plain JSON and copies; nothing here aliases or changes its input (B-17).
"""

from draas.model.canonical import Configuration, canonical, for_launch
from draas.model.faults import ConfigurationError, Fault
from draas.model.normal import digest, normal_form, observable, observable_digest
from draas.model.snapshot import from_snapshot

__all__ = [
    "Configuration",
    "ConfigurationError",
    "Fault",
    "canonical",
    "digest",
    "for_launch",
    "from_snapshot",
    "normal_form",
    "observable",
    "observable_digest",
]
