"""An index by which the ages of models are ranked."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    trained = sa.text("TrainedUntil IS NOT NULL")
    op.create_index("IX_Sensors_TrainedUntil", "Sensors", ["TrainedUntil"], mssql_where=trained, sqlite_where=trained)
