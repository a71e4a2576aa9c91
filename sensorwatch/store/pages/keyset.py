"""Paging by the key of the last row, so that every page costs the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["newest_first"]


def newest_first(
    query: sa.Select[Any],
    columns: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]],
    after: Sequence[Any] | None,
    limit: int,
) -> sa.Select[Any]:
    """Return a page of a query, ordered by two columns, both descending.

    Parameters
    ----------
    query
        The query.
    columns
        Columns that together identify a row; an index on both gives the order.
    after
        Their values in the last row of the previous page; None for the first page.
    limit
        Largest number of rows.
    """
    first, second = columns
    if after is not None:
        # Redundant, but only the plain bound on the first column makes both engines seek in the index.
        query = query.where(first <= after[0], sa.or_(first < after[0], second < after[1]))
    return query.order_by(first.desc(), second.desc()).limit(limit)
