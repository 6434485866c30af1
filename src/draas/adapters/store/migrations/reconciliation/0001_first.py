"""The daemon's first schema."""

import sqlalchemy as sa
from alembic import op

revision = "reconciliation_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "memories",
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "operations",
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("instance_id", sa.Text, nullable=False, index=True),
        sa.Column("timestamp", sa.Text, nullable=False, index=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Text, index=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    chain = op.create_table(
        "audit_chain",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    genesis = "sha256:" + "0" * 64
    ends = [{"name": name, "sequence": 0, "hash": genesis} for name in ("anchor", "head")]
    op.bulk_insert(chain, ends)


def downgrade() -> None:
    for table in ("audit_chain", "audit", "operations", "memories"):
        op.drop_table(table)
