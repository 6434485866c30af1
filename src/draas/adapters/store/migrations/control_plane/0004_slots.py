"""A second slot beside the serving one, its share of the traffic, and where its listeners are."""

import sqlalchemy as sa
from alembic import op

revision = "control_plane_0004"
down_revision = "control_plane_0003"


def upgrade() -> None:
    op.add_column(
        "slots", sa.Column("role", sa.String(32), nullable=False, server_default="serving")
    )
    op.add_column("slots", sa.Column("weight", sa.Integer, nullable=False, server_default="100"))
    op.add_column("slots", sa.Column("placement", sa.JSON, nullable=False, server_default="{}"))


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM slots WHERE role <> 'serving'"))
    for name in ("placement", "weight", "role"):
        op.drop_column("slots", name)
