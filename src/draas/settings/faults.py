"""What is wrong with settings, said so that it can be put right."""

from __future__ import annotations

from collections.abc import Sequence


class SettingsError(Exception):
    """Settings that cannot be used; `faults` has one line for each thing that is wrong.

    Entry points print the lines and exit with code 2.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class InvalidSettingError(ValueError):
    """Raised in a settings class's `__post_init__`: its `field` breaks a rule between fields.

    `allowed` says what may stand there; the binder adds key, value and origin. A field of a class
    within is `name.name`. Of a secret nothing is shown but `shown`.
    """

    def __init__(self, field: str, allowed: str, shown: str | None = None) -> None:
        self.field = field
        self.allowed = allowed
        self.shown = shown
        super().__init__(f"{field}: {allowed}")
