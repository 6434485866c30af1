"""How an error is told: an exit code, and lines with the way out. Never a traceback."""

from __future__ import annotations

from draas.cli.addresses import Addresses
from draas.cli.exit_codes import Code
from draas.client.port import ControlPlaneError, RefusedError, UnreachableError
from draas.contract.routes import RECONCILIATION
from draas.contract.urls import base_urls

_BY_KIND = {
    "control-plane-unreachable": Code.UNREACHABLE,
    "invalid-parameter": Code.USAGE,
    "instance-unobservable": Code.UNKNOWN,
    "route-not-found": Code.FAILED,
}
_BY_STATUS = {404: Code.NOT_FOUND, 409: Code.CONFLICT, 412: Code.CONFLICT}
_WAYS_OUT = {
    "precondition-failed": "somebody else changed it meanwhile: look at it and try again",
    "instance-busy": "try again when that is done",
    "instance-exists": "`draas apply` changes it",
}


def code_of(error: ControlPlaneError) -> Code:
    """The exit code for a call that got no usable answer."""
    if isinstance(error, UnreachableError):
        return Code.UNREACHABLE
    if isinstance(error, RefusedError):
        return _BY_KIND.get(error.kind) or _BY_STATUS.get(error.status, Code.FAILED)
    return Code.FAILED


def lines_of(error: ControlPlaneError, addresses: Addresses) -> list[str]:
    """The detail with the way out, then each fault, and the server's word where it is not told."""
    lines = [str(error)]
    if isinstance(error, UnreachableError):
        of_daemon = any(url in lines[0] for url in base_urls(addresses.daemon))
        option = "--daemon" if of_daemon else "--control-plane"
        lines[0] += f"; start it with `draas up`, or say where it is with {option}"
    if isinstance(error, RefusedError):
        if error.kind == "route-not-found":
            return [_another_process(error, addresses)]
        if error.kind == "instance-not-found":  # The server's hint is a route.
            lines[0] = f"{lines[0].partition(';')[0]}; `draas get` lists those that there are"
        if error.kind in _WAYS_OUT:
            lines[0] += f"; {_WAYS_OUT[error.kind]}"
        lines += _faults(error, lines[0])
        lines += [f"  | {line}" for line in _last_word(error) if line not in lines[0]]
    return lines


def _another_process(error: RefusedError, addresses: Addresses) -> str:
    """Who was asked for a path that it does not serve is somebody else, or of another release."""
    path = str(error.members.get("instance", ""))
    option, url, whose = "--control-plane", addresses.control_plane, "control plane"
    if path.startswith(RECONCILIATION):
        option, url, whose = "--daemon", addresses.daemon, "daemon"
    return (
        f"no {whose} of this release answers at {url}, which does not serve {path}; say where the "
        f"{whose} is with {option}"
    )


def _last_word(error: RefusedError) -> list[str]:
    """Of the server's last lines the one that matters: the last that speaks of an error."""
    log = error.members.get("log")
    lines = [str(each) for each in log] if isinstance(log, list) else []
    return [line for line in lines if "error" in line.lower()][-1:] or lines[-1:]


def _faults(error: RefusedError, said: str) -> list[str]:
    """The faults that the detail has not told."""
    faults = error.members.get("errors")
    found = [each for each in faults if isinstance(each, dict)] if isinstance(faults, list) else []
    return [
        f"  {each.get('path') or 'document'}: {each.get('message')}"
        for each in found
        if str(each.get("message")) not in said
    ]
