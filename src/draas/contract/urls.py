"""What may stand for a server: its base URL."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_base_url(text: str) -> bool:
    """Whether it is http or https with a host, and has no user, query, fragment or blank."""
    try:
        url = urlsplit(text)
        port_is_valid = url.port is None or url.port > 0
    except ValueError:
        return False
    bare = not (url.query or url.fragment or "@" in url.netloc or any(sign <= " " for sign in text))
    return url.scheme in ("http", "https") and bool(url.hostname) and port_is_valid and bare


def base_urls(text: str) -> list[str]:
    """The URLs of a list with commas, each without the slash at its end."""
    return [each.strip(" ").rstrip("/") for each in text.split(",")]


def are_base_urls(text: str) -> bool:
    """Whether each URL of such a list is a base URL."""
    return all(is_base_url(each) for each in base_urls(text))
