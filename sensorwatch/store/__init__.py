"""The SQL store: SQL Server (``mssql+pyodbc``) and SQLite, on SQLAlchemy Core."""

from sensorwatch.store.migrate import upgrade
from sensorwatch.store.sql_store import SqlStore, open_store

__all__ = ["SqlStore", "open_store", "upgrade"]
