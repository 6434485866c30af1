"""Servers without access control listen to this machine only."""

from __future__ import annotations

import ipaddress

from draas.settings.faults import InvalidSettingError


def is_loopback(host: str) -> bool:
    """Whether `host` is reached from this machine only; names other than localhost are not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def require_loopback(section: str, host: str, allowed: bool) -> None:
    """Raises InvalidSettingError for the field `host` unless it is loopback or `allowed`.

    `section` is where both settings stand.
    """
    if not allowed and not is_loopback(host):
        raise InvalidSettingError(
            "host",
            "a loopback address such as 127.0.0.1, because nothing here checks who asks; "
            f"{section}:AllowRemoteAccessWithoutAuthentication=true opens it all the same",
        )
