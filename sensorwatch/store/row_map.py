"""Mapping between the fields of a record and the columns of a table."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

    import sqlalchemy as sa

__all__ = ["RowMap"]

_R = TypeVar("_R")


class RowMap(Generic[_R]):
    """Converts records of one dataclass to rows and back.

    A column has the name of its field in Pascal case: ``peak_score`` is ``PeakScore``.

    Parameters
    ----------
    record
        The dataclass.
    without
        Fields that have no column.
    renamed
        Columns whose names differ, by field.

    Examples
    --------
    >>> from sensorwatch.sensors.labels import ShardLabels
    >>> RowMap(ShardLabels, spans="LabelSpans").row(ShardLabels())
    {'LabelSpans': (), 'Found': ()}
    """

    def __init__(self, record: type[_R], without: Collection[str] = (), **renamed: str) -> None:
        self._record = record
        self._columns = {
            field.name: renamed.get(field.name, field.name.title().replace("_", ""))
            for field in fields(record)  # type: ignore[arg-type]
            if field.name not in without
        }

    def record(self, row: sa.Row[Any], **converted: object) -> _R:
        """Return the record in a row; ``converted`` holds the fields whose stored value has another type."""
        stored = {name: getattr(row, column) for name, column in self._columns.items() if name not in converted}
        return self._record(**stored, **converted)

    def row(self, record: _R, **converted: object) -> dict[str, object]:
        """Return the columns of a record; ``converted`` holds stored values by field, if they have another type."""
        return {
            column: converted[name] if name in converted else getattr(record, name)
            for name, column in self._columns.items()
        }
