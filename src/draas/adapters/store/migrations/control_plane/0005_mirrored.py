"""Whether a second slot gets copies of what is pushed, because it cannot follow."""

import sqlalchemy as sa
from alembic import op

revision = "control_plane_0005"
down_revision = "control_plane_0004"


def upgrade() -> None:
    op.add_column(
        "slots", sa.Column("mirrored", sa.Boolean, nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("slots", "mirrored")
