"""Fences of instances and changes, and the first answers to calls with an idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "control_plane_0002"
down_revision = "control_plane_0001"


def upgrade() -> None:
    op.add_column(
        "instances", sa.Column("fence", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column("changes", sa.Column("fence", sa.BigInteger))
    op.create_table(
        "answers",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column(
            "instance_id",
            sa.String(128),
            sa.ForeignKey("instances.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("instance_id", "key"),
    )


def downgrade() -> None:
    op.drop_table("answers")
    for table in ("changes", "instances"):
        op.drop_column(table, "fence")
