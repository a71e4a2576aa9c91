"""Spans: runs of flagged windows, such as labelled anomalies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Booleans = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["spans"]


def spans(flags: Booleans) -> tuple[Integers, Integers]:
    """Return the first and the last position, both inclusive, of every run of True.

    Examples
    --------
    >>> firsts, lasts = spans(np.array([True, False, True, True]))
    >>> firsts.tolist(), lasts.tolist()
    ([0, 2], [0, 3])
    """
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
