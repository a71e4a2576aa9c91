"""A series whose anomalies are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["LabelledSeries"]


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """Windows of one sensor, and which of them are anomalous.

    Attributes
    ----------
    name
        What reports call it.
    times
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, never falling, shape ``(n_windows,)``.
    values
        Shape ``(n_windows,)``; NaN where there is no value.
    labels
        Shape ``(n_windows,)``.
    """

    name: str
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]
