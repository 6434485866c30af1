"""Would a server be let onto an address? Asked of the kernel, by binding it for an instant."""

from __future__ import annotations

import errno
import os
import socket

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def reachable(host: str) -> str:
    """Where a server that listens on `host` is asked: every address means loopback."""
    return _ANY_ADDRESS.get(host, host)


def numeric(host: str) -> str:
    """The address that a host name means on this machine, of IPv4 if there is one."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    by_family = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    return by_family.get(socket.AF_INET) or next(iter(by_family.values()))


def can_bind(host: str, port: int) -> bool:
    """Whether a server could listen on the address now; see `bind_fault`."""
    return bind_fault(host, port) is None


def bind_fault(host: str, port: int) -> str | None:
    """Why a server could not listen on `host` and `port`, with the way out, or `None`.

    The address is released before this returns, so the answer may be old at once: whoever relies
    on it must still cope with a server that cannot bind.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        return f"host {host!r} cannot be resolved ({error}); use an address of this machine"
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As servers do: connections that linger in TIME_WAIT keep nobody out.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and len(addresses) > 1:
                continue
            return _reason(host, port, error)
    return None


def _reason(host: str, port: int, error: OSError) -> str:
    where = f"port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use; choose another port or end the program that holds it"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; choose another host"
    if error.errno == errno.EACCES:
        return f"{where} may not be bound by this user; choose a port above 1023"
    return f"{where} cannot be bound: {os.strerror(error.errno or 0)}"
