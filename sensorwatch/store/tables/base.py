"""Metadata of all tables, the type of names, and partial indexes."""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "metadata",
    "name_type",
    "partial_index",
]

metadata = sa.MetaData()


def name_type(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of names with at most ``length`` UTF-16 units, which are compared exactly."""
    return sa.Unicode(length).with_variant(sa.Unicode(length, collation="Latin1_General_100_BIN2"), "mssql")


def partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """Return an index of the rows that meet a condition, on both dialects.

    Parameters
    ----------
    name
        Name of the index.
    columns
        Names of its columns.
    where
        SQL condition.
    """
    return sa.Index(name, *columns, mssql_where=sa.text(where), sqlite_where=sa.text(where))
