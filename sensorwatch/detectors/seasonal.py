"""What the detectors share that look at a sensor's values without its season."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sensorwatch.detectors.lagged import Lagged, Past
from sensorwatch.detectors.lags import median_step
from sensorwatch.detectors.robust import center_and_scale
from sensorwatch.detectors.seasons import Season, find_season

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["SEASON_FIELDS", "Seasonal"]

SEASON_FIELDS = (
    pa.field("time_zone", pa.string()),
    pa.field("season_seconds", pa.int64()),
    pa.field("profile", pa.list_(pa.float32())),
)


class Seasonal(Lagged):
    """A detector of patterns of what a season leaves of the values.

    Parameters
    ----------
    time_zone
        IANA name of the zone whose clock new models go by; a model keeps its own.
    """

    def __init__(self, time_zone: str = "UTC") -> None:
        self._time_zone = time_zone

    def _prepare(self, past: Past) -> dict[str, Any]:
        step = median_step(past.times)
        season = find_season(past.times, past.values, step, self._time_zone)
        center, scale = center_and_scale(past.values - season.at(past.times, self._time_zone))
        return {
            "step": step,
            "center": center,
            "scale": scale,
            "time_zone": self._time_zone,
            "season_seconds": season.seconds,
            "profile": season.profile,
        }

    def _base(self, row: Mapping[str, Any], past: Past) -> Floats:
        season = Season(row["season_seconds"], row["profile"])
        base: Floats = season.at(past.times, row["time_zone"]) + row["center"]
        return base
