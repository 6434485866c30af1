"""The daemon's tables, in statements that SQLite and PostgreSQL both understand."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
MEMORIES = sa.Table(
    "memories",
    METADATA,
    sa.Column("instance_id", sa.Text, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("shard", sa.Integer, index=True),
)
OPERATIONS = sa.Table(
    "operations",
    METADATA,
    sa.Column("instance_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("shard", sa.Integer, index=True),
    sa.Column("fence", sa.BigInteger),
)
OPERATION_EVENTS = sa.Table(
    "operation_events",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("operation_id", sa.Text, nullable=False, index=True),
    sa.Column("at", sa.Text, nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
)
SHARDS = sa.Table(
    "shards",
    METADATA,
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
)
MEMBERS = sa.Table(
    "members",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("told", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float(53), nullable=False),
)
LEASES = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False, index=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("instance_id", sa.Text, nullable=False, index=True),
    sa.Column("timestamp", sa.Text, nullable=False, index=True),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("operation_id", sa.Text, index=True),
    sa.Column("document", sa.Text, nullable=False),
)
CHAIN = sa.Table(
    "audit_chain",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
