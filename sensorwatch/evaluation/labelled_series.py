"""Series with known anomalies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["LabelledSeries"]


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """Windows of one sensor with labels.

    Attributes
    ----------
    name
        Name of the series in reports.
    times
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, ascending, shape ``(n_windows,)``, int64. Two windows
        may have the same end.
    values
        Values of the windows, shape ``(n_windows,)``, float64; NaN for a missing value.
    labels
        True for each anomalous window, shape ``(n_windows,)``, bool.
    """

    name: str
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]
