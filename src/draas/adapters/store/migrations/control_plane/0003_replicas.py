"""Several control planes over one database: hosts, whose slot it is, who holds an instance."""

import sqlalchemy as sa
from alembic import op

revision = "control_plane_0003"
down_revision = "control_plane_0002"


def upgrade() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    op.add_column("slots", sa.Column("host_id", sa.String(128)))
    op.add_column("instances", sa.Column("operation", sa.JSON))


def downgrade() -> None:
    for table, column in (("instances", "operation"), ("slots", "host_id")):
        with op.batch_alter_table(table) as changed:
            changed.drop_column(column)
    op.drop_table("hosts")
