"""The control plane's tables, in statements that SQLite and PostgreSQL both understand."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("platform_type", String(32), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("last_modified_at", String(40)),
    Column("port", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("desired_digest", String(128), nullable=False),
    Column("desired_run_state", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("health", String(32), nullable=False),
    Column("observed_components_digest", String(128)),
    Column("last_good_generation", Integer),
    Column("earlier_good_generation", Integer),
    Column("reason", Text),
    Column("started_at", String(40)),
    Column("stopped_at", String(40)),
    Column("reported", JSON, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("operation", JSON(none_as_null=True)),
)

slots = Table(
    "slots",
    metadata,
    Column(
        "instance_id",
        String(128),
        ForeignKey("instances.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("name", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("digest", String(128), nullable=False),
    Column("components_digest", String(128), nullable=False),
    Column("generation", Integer),
    Column("at", String(40), nullable=False),
    Column("process_id", Integer),
    Column("process_started", Float(53)),
    Column("role", String(32), nullable=False),
    Column("weight", Integer, nullable=False),
    Column("placement", JSON, nullable=False),
    Column("host_id", String(128)),
    Column("mirrored", Boolean, nullable=False),
)

configurations = Table(
    "configurations",
    metadata,
    Column(
        "instance_id",
        String(128),
        ForeignKey("instances.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("generation", Integer, primary_key=True),
    Column("digest", String(128), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("at", String(40), nullable=False),
    Column("actor", Text, nullable=False),
    Column("operation_id", Text),
)

changes = Table(
    "changes",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("instance_id", String(128), nullable=False),
    Column("at", String(40), nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("operation_id", Text),
    Column("fence", BigInteger),
    Column("old_status", String(32)),
    Column("new_status", String(32)),
    Column("source", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
)

hosts = Table(
    "hosts",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("url", Text, nullable=False),
    Column("expires_at", Float(53), nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("number", Integer, primary_key=True),
    Column(
        "instance_id",
        String(128),
        ForeignKey("instances.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("key", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("content_type", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("instance_id", "key"),
)
