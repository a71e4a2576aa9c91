"""Labels of windows, for models that learn from them."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import WindowEnd

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "LabelSpans",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("FirstEnd", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("LastEnd", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("Anomalous", sa.Integer, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("SensorId", "FirstEnd", "LastEnd", "Anomalous", name="PK_LabelSpans"),
        sa.ForeignKeyConstraint(["SensorId"], ["Sensors.SensorId"], name="FK_LabelSpans_Sensors"),
        sqlite_with_rowid=False,
    )
