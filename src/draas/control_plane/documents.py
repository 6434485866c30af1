"""What becomes a stored configuration: canonical, complete, valid, and digested (B-80)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.decide.kinds import Kinds
from draas.decide.validation import validate
from draas.model.configuration import (
    Configuration,
    ConfigurationError,
    Fault,
    canonical,
    digest,
    observable_digest,
)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_LOG_LEVEL = "info"
LARGEST = 8 * 1024 * 1024
"""How many bytes a configuration may have, as the body that brings one."""


@dataclass(frozen=True, slots=True)
class Document:
    """A valid configuration: its canonical form, its bytes, and what it is compared by."""

    configuration: Configuration
    encoded: bytes
    digest: str
    port: int

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return str(self.configuration["host"])

    @property
    def components_digest(self) -> str:
        """The digest of what a running server can report."""
        return observable_digest(self.configuration)


def document(
    given: Mapping[str, Any], *, port: int, kinds: Kinds | None = None, to_run: bool = True
) -> Document:
    """The document completed with the defaults of host, port and log level, and checked.

    With `kinds` components of other kinds are refused; what is not `to_run` may wait for some.

    Raises:
        ProblemError: it cannot be run (invalid-configuration), with every fault by path.
    """
    try:
        configuration = canonical(given)
    except ConfigurationError as error:
        raise invalid(error.faults) from None
    configuration.setdefault("host", DEFAULT_HOST)
    configuration.setdefault("port", port)
    configuration.setdefault("logLevel", DEFAULT_LOG_LEVEL)
    faults = list(validate(configuration, kinds, to_run=to_run)) or list(
        _unplaceable(configuration)
    )
    if faults:
        raise invalid(faults)
    encoded = msgspec.json.encode(configuration)
    if len(encoded) > LARGEST:
        message = f"the configuration would have {len(encoded)} bytes; {LARGEST} are the most"
        raise invalid([Fault("document", None, message)])
    return Document(
        configuration,
        encoded,
        digest(configuration),
        configuration["port"],
    )


def stored(encoded: bytes, kinds: Kinds | None) -> Document:
    """A document as the store has it, to be run now.

    Raises:
        ProblemError: it no longer passes the checks, or needs a kind that no server here has and
            that it could wait for while it was stopped (invalid-configuration).
    """
    return document(msgspec.json.decode(encoded), port=0, kinds=kinds)


def invalid(faults: list[Fault] | tuple[Fault, ...]) -> ProblemError:
    """The problem that names every fault by path."""
    count = len(faults)
    return ProblemError(
        "invalid-configuration",
        f"the configuration has {count} fault{'' if count == 1 else 's'}: "
        + "; ".join(str(fault) for fault in faults[:5]),
        errors=[
            {"path": fault.path, "value": fault.value, "message": fault.message} for fault in faults
        ],
    )


def _unplaceable(configuration: Configuration) -> list[Fault]:
    """The control plane must know where the server will listen, so these cannot be references."""
    return [
        Fault(name, configuration[name], f"{name} must be given itself here, not by reference")
        for name, kind in (("host", str), ("port", int))
        if not isinstance(configuration[name], kind) or "${" in str(configuration[name])
    ]
