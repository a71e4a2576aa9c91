"""Base class of detectors that judge a sensor's values after subtracting its season."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sensorwatch.config.detectors import NO_PARAMETERS
from sensorwatch.config.parameters import SeasonParameters
from sensorwatch.detectors.lagged import Lagged, Past
from sensorwatch.detectors.windowing.lags import median_step
from sensorwatch.detectors.windowing.robust import center_and_scale
from sensorwatch.detectors.windowing.seasons import Season, find_season
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy

    Floats = npt.NDArray[np.float64]

__all__ = ["SEASON_FIELDS", "Seasonal"]

SEASON_FIELDS = (
    pa.field("specification", pa.string()),
    pa.field("time_zone", pa.string()),
    pa.field("season_seconds", pa.int64()),
    pa.field("profile", pa.list_(pa.float32())),
)


class Seasonal(Lagged):
    """A detector of patterns of values from which the season is subtracted.

    Parameters
    ----------
    specification
        Parameters as JSON (:class:`~sensorwatch.config.parameters.SeasonParameters`), for new models. A model keeps
        those that it was fitted with.

    Raises
    ------
    InvalidInputError
        A parameter is unknown or out of range.
    """

    def __init__(self, specification: str = NO_PARAMETERS) -> None:
        self._specification = specification
        try:
            self._time_zone = SeasonParameters.checked(json.loads(specification)).time_zone
        except ValueError as exc:
            raise InvalidInputError(f"the detector `{self.name}` with {specification}: {exc}") from None

    def with_parameters(self, specification: str, policy: EstimatorPolicy) -> Seasonal:
        """Return the detector with a time zone; see :meth:`~sensorwatch.detectors.base.Detector.with_parameters`."""
        del policy
        return type(self)(specification)

    def _prepare(self, past: Past) -> dict[str, Any]:
        step = median_step(past.times)
        season = find_season(past.times, past.values, step, self._time_zone)
        center, scale = center_and_scale(past.values - season.at(past.times, self._time_zone))
        return {
            "step": step,
            "center": center,
            "scale": scale,
            "specification": self._specification,
            "time_zone": self._time_zone,
            "season_seconds": season.seconds,
            "profile": season.profile,
        }

    def _base(self, row: Mapping[str, Any], past: Past) -> Floats:
        season = Season(row["season_seconds"], row["profile"])
        base: Floats = season.at(past.times, row["time_zone"]) + row["center"]
        return base
