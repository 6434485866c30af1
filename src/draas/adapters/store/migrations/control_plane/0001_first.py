"""The control plane's first schema: instances, slots, configurations, the log of changes."""

import sqlalchemy as sa
from alembic import op

revision = "control_plane_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("platform_type", sa.String(32), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("last_modified_at", sa.String(40)),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("desired_digest", sa.String(128), nullable=False),
        sa.Column("desired_run_state", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("health", sa.String(32), nullable=False),
        sa.Column("observed_components_digest", sa.String(128)),
        sa.Column("last_good_generation", sa.Integer),
        sa.Column("earlier_good_generation", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("started_at", sa.String(40)),
        sa.Column("stopped_at", sa.String(40)),
        sa.Column("reported", sa.JSON, nullable=False),
    )
    op.create_table(
        "slots",
        _owner(),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("components_digest", sa.String(128), nullable=False),
        sa.Column("generation", sa.Integer),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("process_id", sa.Integer),
        sa.Column("process_started", sa.Float(53)),
    )
    op.create_table(
        "configurations",
        _owner(),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Text),
    )
    op.create_table(
        "changes",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("instance_id", sa.String(128), nullable=False),
        sa.Column("at", sa.String(40), nullable=False, index=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Text),
        sa.Column("old_status", sa.String(32)),
        sa.Column("new_status", sa.String(32)),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
    )


def _owner() -> sa.Column[str]:
    """The instance that a row belongs to and goes with."""
    return sa.Column(
        "instance_id",
        sa.String(128),
        sa.ForeignKey("instances.id", ondelete="CASCADE"),
        primary_key=True,
    )
