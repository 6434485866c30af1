"""Which databases can be a store."""

from __future__ import annotations

from draas.settings.faults import InvalidSettingError

URLS = "sqlite:///PATH or postgresql://USER@HOST/DATABASE"


def require_store(url: str) -> None:
    """Raises InvalidSettingError for the field `store` unless a database can be opened by `url`.

    Nothing is asked of the database itself. Without a URL the data directory has a file.
    """
    if url and not _is_store(url):
        raise InvalidSettingError("store", f"{URLS}; empty for a file in the data directory")


def _is_store(url: str) -> bool:
    # As the store itself reads it; who names none is spared a tenth of a second.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return False
    match parsed.get_backend_name():
        case "sqlite":
            return bool(parsed.database) and not parsed.host
        case "postgresql":
            return parsed.port is None or 0 < parsed.port < 65_536
    return False
