"""Indexes by which lists are read page by page, newest first."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Complete the indexes by time with the id that ends a page, and add those of the filters."""
    _replace("IX_Alerts_OpenedEnd", "Alerts", ["OpenedEnd", "AlertId"])
    _replace("IX_Incidents_FirstEnd", "Incidents", ["FirstEnd", "IncidentId"])
    _replace("IX_Runs_CreatedAt", "Runs", ["CreatedAt", "RunId"])
    op.create_index("IX_Alerts_Severity", "Alerts", ["Severity", "OpenedEnd", "AlertId"])
    op.create_index("IX_Alerts_Kind", "Alerts", ["Kind", "OpenedEnd", "AlertId"])
    _create_where("IX_Alerts_Open", "Alerts", ["OpenedEnd", "AlertId"], "ClearedEnd IS NULL")
    op.create_index("IX_Anomalies_Severity", "Anomalies", ["Severity", "TS"])
    _create_where("IX_Anomalies_Suppressed", "Anomalies", ["TS"], "Suppressed <> ''")
    op.create_index("IX_Runs_Kind", "Runs", ["Kind", "CreatedAt", "RunId"])
    _create_where("IX_Runs_Open", "Runs", ["CreatedAt"], "EndedAt IS NULL")
    op.create_index("IX_Sensors_Tag", "Sensors", ["Tag"])


def _replace(name: str, table: str, columns: list[str]) -> None:
    op.drop_index(name, table_name=table)
    op.create_index(name, table, columns)


def _create_where(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, mssql_where=sa.text(condition), sqlite_where=sa.text(condition))
