"""Brings a database to the newest revision, with Alembic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from draas.adapters.store.engine import (
    MIGRATIONS,
    SchemaError,
    oldest_table,
    unknown,
    version_table,
)

OLDEST = {"control_plane": "control_plane_0001", "reconciliation": "reconciliation_0001"}
"""By schema, the oldest revision whose release still works on the newest.

To be raised by a migration that takes away what it relied on; at least one release is spared.
"""


def upgrade(connection: sa.Connection, schema: str, shown_url: str) -> None:
    """Run what is missing of `schema` in the connection's transaction.

    Raises:
        SchemaError: the database has a revision that this release does not know.
    """
    config = configured(connection, schema)
    known = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(
        connection, opts={"version_table": version_table(schema)}
    ).get_current_revision()
    if present is not None and present not in {each.revision for each in known.walk_revisions()}:
        raise SchemaError(unknown(shown_url, present))
    command.upgrade(config, "head")
    table = oldest_table(schema)
    connection.execute(
        sa.text(f"CREATE TABLE IF NOT EXISTS {table} (revision VARCHAR(64) NOT NULL)")
    )
    connection.execute(sa.text(f"DELETE FROM {table}"))
    oldest = {"revision": OLDEST[schema]}
    connection.execute(sa.text(f"INSERT INTO {table} (revision) VALUES (:revision)"), oldest)


def configured(connection: sa.Connection, schema: str) -> Config:
    """Alembic's settings for a schema on a connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / schema))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table(schema)
    return config
