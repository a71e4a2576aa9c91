"""What all tables share: the collection that they are in, and the type of names."""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "metadata",
    "name_type",
]

metadata = sa.MetaData()


def name_type(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of names of up to ``length`` UTF-16 units, which are compared exactly."""
    return sa.Unicode(length).with_variant(sa.Unicode(length, collation="Latin1_General_100_BIN2"), "mssql")
