"""Brings a database to the newest revision, with Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from draas.adapters.store.engine import MIGRATIONS, SchemaError, configure


def upgrade(path: Path, schema: str) -> None:
    """Run what is missing of `schema` on the database at `path`; `SchemaError` if it is newer."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / schema))
    config.set_main_option("path_separator", "newline")
    known = ScriptDirectory.from_config(config)
    engine = sa.create_engine(f"sqlite:///{path}", hide_parameters=True)
    event.listen(engine, "connect", configure)
    try:
        with engine.begin() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
            revisions = {script.revision for script in known.walk_revisions()}
            if present is not None and present not in revisions:
                raise SchemaError(
                    f"{path} has schema {present!r}, which this release does not know: "
                    "it was written by a newer one; upgrade, or restore a backup"
                )
            if present != known.get_current_head():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    finally:
        engine.dispose()
