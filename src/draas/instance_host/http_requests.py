"""From the bytes of a connection to its requests: httptools' parser, within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import httptools

BODY_LIMIT = 8 * 1024 * 1024
HEADER_LIMIT = 64 * 1024

_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)
"""What a target in absolute form (RFC 9112, 3.2.2) has before its path."""


@dataclass(slots=True)
class Request:
    """One request; header names are in lower case, path and query still percent-encoded."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""


class RequestReader:
    """Reads the requests of one connection and hands them on in their order.

    `take` gets each request and whether the connection may go on after it, `expect` hears that a
    client asks for leave to send its body, and `refuse` gets a status and a reason, after which
    nothing is read: 413 for a body above 8 MiB, 400 for headers above 64 KiB and for what is
    malformed. An offer to upgrade to another protocol is ignored (RFC 9110, 7.8).
    """

    def __init__(
        self,
        take: Callable[[Request, bool], None],
        expect: Callable[[], None],
        refuse: Callable[[int, str], None],
    ) -> None:
        self._take = take
        self._expect = expect
        self._tell_refusal = refuse
        self._refused = False
        self._pending = 0
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Read on."""
        while data and not self._refused:
            self._pending += len(data)
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse(400, "malformed HTTP request")
        if self._pending > HEADER_LIMIT:  # of headers that do not end: the parser keeps them
            self._too_many_headers()

    # httptools' callbacks

    def on_message_begin(self) -> None:  # noqa: D102
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._in_head = True
        self._header_size = 0
        self._chunks: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:  # noqa: D102
        self._url += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if self._in_head:  # not a trailer, which nobody here asks for
            self._fields.append((name, value))
        self._count_header(len(name) + len(value))

    def on_headers_complete(self) -> None:  # noqa: D102
        self._in_head = False
        self._pending = 0
        if self._parser.should_upgrade():
            return  # they come again, without the offer
        self._headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._fields
        }
        length = self._headers.get("content-length", "0")
        if length.isdigit() and int(length) > BODY_LIMIT:
            self._too_large()
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._expect()

    def on_body(self, body: bytes) -> None:  # noqa: D102
        self._pending = 0
        self._size += len(body)
        if self._size > BODY_LIMIT:
            self._too_large()
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:  # noqa: D102
        self._pending = 0
        if self._refused or self._parser.should_upgrade():
            return
        target = _ORIGIN.sub("", self._url.decode("latin-1"), count=1)
        path, _, query = target.partition("?")
        method = self._parser.get_method().decode("ascii")
        request = Request(method, path or "/", query, self._headers, b"".join(self._chunks))
        self._take(request, self._parser.should_keep_alive())

    def _without_upgrade(self) -> bytes:
        """The head that offers an upgrade, without the offer, for a new parser.

        The old one holds everything after that head for the other protocol, the body included.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(400, "no tunnels here")
        self._parser = httptools.HttpRequestParser(self)
        fields = [each for each in self._fields if each[0].lower() != b"upgrade"]
        head = [b"%s %s HTTP/%s" % (method, self._url, version)]
        head += [b"%s: %s" % field for field in fields]
        return b"\r\n".join(head) + b"\r\n\r\n"

    def _count_header(self, size: int) -> None:
        self._header_size += size
        if self._header_size > HEADER_LIMIT:
            self._too_many_headers()

    def _too_many_headers(self) -> None:
        self._refuse(400, f"headers above {HEADER_LIMIT} bytes")

    def _too_large(self) -> None:
        self._chunks.clear()
        self._refuse(413, f"body above {BODY_LIMIT} bytes")

    def _refuse(self, status: int, message: str) -> None:
        if not self._refused:
            self._refused = True
            self._tell_refusal(status, message)
