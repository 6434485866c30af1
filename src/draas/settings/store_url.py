"""Which databases can be a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from draas.settings.faults import InvalidSettingError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

URLS = "sqlite:////PATH or postgresql://USER@HOST/DATABASE"


def require_store(url: str) -> None:
    """Raises InvalidSettingError for the field `store` unless a database can be opened by `url`.

    Nothing is asked of the database itself. Without a URL the data directory has a file. Another
    file has an absolute path: started from another folder it is to be the same one.
    """
    if not url:
        return
    # As the store itself reads it; who names none is spared a tenth of a second.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    parsed: URL | None
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or not _is_store(parsed):
        allowed = f"{URLS}; empty for a file in the data directory"
        raise InvalidSettingError("store", allowed, without_password(url))
    relative = parsed.database or "/"
    if parsed.get_backend_name() == "sqlite" and not relative.startswith("/"):
        raise InvalidSettingError(
            "store",
            f"an absolute path, which makes four slashes: sqlite:////{relative}, or "
            f"sqlite:///{Path.cwd() / relative} for the file in this folder",
            without_password(url),
        )


def _is_store(url: URL) -> bool:
    match url.get_backend_name():
        case "sqlite":
            return bool(url.database) and not url.host
        case "postgresql":
            return url.port is None or 0 < url.port < 65_536
    return False


def without_password(url: str) -> str:
    """What may be shown of what was meant to be a URL."""
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    rest = rest.partition("?")[0]
    user, at, place = rest.rpartition("@")
    if not at and ":" in user + place:
        return f"{scheme}{mark}***"
    return f"{scheme}{mark}***@{place}" if at else url.partition("?")[0]
