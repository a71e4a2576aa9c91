"""Longest usual gap between the windows of a sensor."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; it is filled as sensors are trained."""
    op.add_column("SensorRhythms", sa.Column("GapSeconds", sa.Integer))
