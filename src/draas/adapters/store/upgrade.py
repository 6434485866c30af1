"""Brings a database to the newest revision, with Alembic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from draas.adapters.store.engine import MIGRATIONS, SchemaError, version_table


def upgrade(connection: sa.Connection, schema: str, shown_url: str) -> None:
    """Run what is missing of `schema` in the connection's transaction.

    Raises:
        SchemaError: the database has a revision that this release does not know.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / schema))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table(schema)
    known = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(
        connection, opts={"version_table": version_table(schema)}
    ).get_current_revision()
    if present is not None and present not in {each.revision for each in known.walk_revisions()}:
        raise SchemaError(
            f"{shown_url} has schema {present!r}, which this release does not know: "
            "it was written by a newer one; upgrade, or restore a backup"
        )
    command.upgrade(config, "head")
