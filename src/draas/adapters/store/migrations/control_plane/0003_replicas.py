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
    op.drop_column("instances", "operation")
    op.drop_column("slots", "host_id")
    op.drop_table("hosts")
