"""Explanations of anomalous windows."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import ExactFloat, LongText

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("Anomalies", sa.Column("ExpectedValue", ExactFloat()))
    op.add_column("Anomalies", sa.Column("Explanation", LongText()))
    op.add_column("Alerts", sa.Column("Explanation", sa.Unicode(400), nullable=False, server_default=""))
