"""Members, leases and fences of several daemons; events of operations."""

import sqlalchemy as sa
from alembic import op

revision = "reconciliation_0002"
down_revision = "reconciliation_0001"


def upgrade() -> None:
    for table in ("memories", "operations"):
        op.add_column(table, sa.Column("shard", sa.Integer))
        op.create_index(f"ix_{table}_shard", table, ["shard"])
    op.add_column("operations", sa.Column("fence", sa.BigInteger))
    op.create_table(
        "operation_events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("operation_id", sa.Text, nullable=False, index=True),
        sa.Column("at", sa.Text, nullable=False, index=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "shards",
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "members",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False, index=True),
        sa.Column("fence", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("leases", "members", "shards", "operation_events"):
        op.drop_table(table)
    for table, columns in (("memories", ["shard"]), ("operations", ["shard", "fence"])):
        op.drop_index(f"ix_{table}_shard", table)
        with op.batch_alter_table(table) as changed:
            for column in columns:
                changed.drop_column(column)
