"""Laws of thinning a series out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensorwatch.api.downsampling import lttb, min_max

SERIES = arrays(np.float64, st.integers(0, 300), elements=st.floats(-1e6, 1e6))
Floats = npt.NDArray[np.float64]


def is_ordered_subset(keep: npt.NDArray[np.int64], values: Floats) -> bool:
    return bool((np.diff(keep) > 0).all()) and (not len(keep) or (keep[0] == 0 and keep[-1] == len(values) - 1))


@given(SERIES, st.integers(4, 60))
def test_min_max_keeps_first_last_and_every_extreme(values: Floats, points: int) -> None:
    keep = min_max(values, points)
    assert is_ordered_subset(keep, values)
    assert len(keep) <= points or len(keep) == len(values) <= points
    if len(values):
        assert values[keep].min() == values.min()
        assert values[keep].max() == values.max()


@given(SERIES, st.integers(3, 60))
def test_lttb_keeps_first_last_and_exactly_so_many(values: Floats, points: int) -> None:
    keep = lttb(np.arange(len(values), dtype=np.float64), values, points)
    assert is_ordered_subset(keep, values)
    assert len(keep) == min(points, len(values))


@given(SERIES, st.integers(4, 60))
def test_a_series_that_is_short_enough_stays_whole(values: Floats, points: int) -> None:
    short = values[:points]
    assert len(min_max(short, points)) == len(lttb(np.arange(float(len(short))), short, points)) == len(short)


def test_lttb_chooses_the_largest_triangles() -> None:
    # By hand: stretches [1, 2, 3] and [4, 5, 6]; the peaks at 2 and 5 make the largest triangles.
    values = np.array([0.0, 0.0, 9.0, 0.0, 0.0, -9.0, 0.0, 0.0])
    assert lttb(np.arange(8.0), values, 4).tolist() == [0, 2, 5, 7]


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        min_max(np.zeros(9), 3)
    with pytest.raises(ValueError, match="at least 3"):
        lttb(np.zeros(9), np.zeros(9), 2)
