"""What web pages may ask: there is no access control, and a page reaches what its browser does."""

from __future__ import annotations

import re

from draas.contract.drasi_server import CROSS_SITE
from draas.instance_host.errors import ApiError
from draas.instance_host.http_requests import Request

READING = ("GET", "HEAD")

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)


def refuse_orders_of_pages(request: Request) -> None:
    """`ApiError` (403) for what a page in a browser would change: the host serves no page."""
    if request.method not in READING and _is_of_a_page(request):
        raise ApiError(
            CROSS_SITE, "a web page may change nothing here: use a client that is no browser"
        )


def refuse_pages(request: Request) -> None:
    """`ApiError` (403) for everything that a page asks, and for names that point at this machine.

    For routes that hand out all data or stop an instance.
    """
    is_here = _LOOPBACK.fullmatch(request.headers.get("host", "")) is not None
    if _is_of_a_page(request) or not is_here:
        raise ApiError(CROSS_SITE, "the hand-over is not for web pages, and only for this machine")


def _is_of_a_page(request: Request) -> bool:
    headers = request.headers
    return "origin" in headers or headers.get("sec-fetch-site", "none") != "none"
