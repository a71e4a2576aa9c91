"""Longest usual gap between the windows of a sensor, and room for the kind ``ingestion-stopped`` of alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which is filled as sensors are trained, and lengthen the other; SQLite has no lengths."""
    op.add_column("SensorRhythms", sa.Column("GapSeconds", sa.Integer))
    if op.get_context().dialect.name == "mssql":
        op.alter_column("Alerts", "Kind", existing_type=sa.String(16), type_=sa.String(32), existing_nullable=False)
