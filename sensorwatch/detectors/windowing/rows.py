"""Parameters of many sensors, read one sensor at a time without copying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ParameterRows"]


class ParameterRows:
    """Rows of a struct array: lists of numbers become NumPy arrays, structs become mappings.

    Parameters
    ----------
    params
        Shape ``(n_sensors,)``; null for a sensor without a model.

    Examples
    --------
    >>> rows = ParameterRows(pa.array([{"a": 1.5, "b": [1.0, 2.0]}, None]))
    >>> [row and {name: row[name] for name in ("a", "b")} for row in rows]
    [{'a': 1.5, 'b': array([1., 2.])}, None]
    """

    def __init__(self, params: pa.StructArray) -> None:
        self._valid = params.is_valid().to_numpy(zero_copy_only=False)
        self._columns = {field.name: _column(params.field(field.name)) for field in params.type}

    def __len__(self) -> int:
        """Return the number of sensors."""
        return len(self._valid)

    def __iter__(self) -> Iterator[dict[str, Any] | None]:
        """Yield the parameters of each sensor, None for a sensor without a model."""
        for i, valid in enumerate(self._valid.tolist()):
            yield {name: column[i] for name, column in self._columns.items()} if valid else None


class _Lists:
    def __init__(self, lists: pa.ListArray) -> None:
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        self._ends = np.cumsum(counts).tolist()
        self._values = lists.flatten().to_numpy(zero_copy_only=False)

    def __getitem__(self, i: int) -> Any:
        return self._values[self._ends[i - 1] if i else 0 : self._ends[i]]


def _column(values: pa.Array) -> Any:
    if pa.types.is_list(values.type):
        return _Lists(values)
    if pa.types.is_struct(values.type):
        return list(ParameterRows(values))
    return values.to_pylist()
