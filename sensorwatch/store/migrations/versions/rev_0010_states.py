"""An index by which sensors are counted that are not ready."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    few = sa.text("State <> 'ready'")
    op.create_index("IX_Sensors_NotReady", "Sensors", ["State"], mssql_where=few, sqlite_where=few)
