"""The shortcut past the migrations rests on the names of their files."""

import importlib.util
import re
import sqlite3
from pathlib import Path

import pytest

from draas.adapters.store.engine import MIGRATIONS, migrate, newest, sqlite_url, version_table

FILES = sorted(MIGRATIONS.glob("*/[0-9]*.py"))
SCHEMAS = sorted({file.parent.name for file in FILES})


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_revision_is_its_schema_and_the_number_of_its_file(file: Path) -> None:
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    number = re.match(r"\d+", file.stem)
    assert number is not None
    assert module.revision == f"{file.parent.name}_{number.group()}"


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_migrated_database_is_at_the_newest_revision(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "store.sqlite"
    await migrate(sqlite_url(path), schema)
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT * FROM {version_table(schema)}").fetchall()
    assert found == [(newest(schema),)]
