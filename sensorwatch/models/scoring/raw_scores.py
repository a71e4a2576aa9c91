"""Raw scores and expected bands of a shard's windows, from the detector of each sensor's model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.models.table import detectors_in, params_column

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.detectors.base import Detector
    from sensorwatch.sensors.windows import WindowColumns

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["AdvancedCheckpoints", "ModelWindows", "RawScores", "raw_scores"]


@dataclass(frozen=True, slots=True)
class RawScores:
    """Raw scores and expected bands of windows; every array has shape ``(n_windows,)`` and dtype float64.

    Attributes
    ----------
    raw
        Raw scores; NaN if a window's sensor has no model, or if too few previous windows are known.
    value
        Expected values; NaN if the detector has none.
    low, high
        Lowest and highest normal values; NaN if the detector has none.
    """

    raw: Floats
    value: Floats
    low: Floats
    high: Floats

    def only(self, keep: Flags) -> RawScores:
        """Return the scores of the windows for which ``keep``, shape ``(n_windows,)``, is true."""
        return RawScores(self.raw[keep], self.value[keep], self.low[keep], self.high[keep])

    def put(self, at: Flags | Integers, others: RawScores) -> None:
        """Overwrite the scores of the windows ``at`` (a mask or positions) with ``others``."""
        self.raw[at], self.value[at] = others.raw, others.value
        self.low[at], self.high[at] = others.low, others.high


class AdvancedCheckpoints(NamedTuple):
    """Checkpoints of one detector's models after windows were scored.

    Attributes
    ----------
    rows
        Positions of the models, each once, ascending, shape ``(n,)``.
    checkpoints
        Their checkpoints, shape ``(n,)``.
    """

    rows: Integers
    checkpoints: pa.StructArray


@dataclass(frozen=True, slots=True)
class ModelWindows:
    """Windows of the sensors whose models were made by one detector.

    Attributes
    ----------
    detector
        The detector.
    params
        Its parameters, one row for each model of the shard; null for models of other detectors.
    chosen
        Positions of the windows, ascending, int64.
    rows
        Positions of their models, each once, ascending, int64.
    series
        Values of the windows, one sensor for each of ``rows``.
    """

    detector: Detector
    params: pa.StructArray
    chosen: Integers
    rows: Integers
    series: Series

    @classmethod
    def of(
        cls, models: pa.Table, name: str, model: Integers, windows: WindowColumns, policy: EstimatorPolicy | None
    ) -> ModelWindows:
        """Return the windows of a detector's models.

        Parameters
        ----------
        models
            The shard's model table.
        name
            Name of the detector.
        model
            Position of each window's model, shape ``(n_windows,)``, int64; -1 for a window to leave out. Apart from
            -1, positions are ascending.
        windows
            Windows, ordered by (sensor_id, end).
        policy
            Estimators that may be loaded; None: the configuration's defaults.
        """
        params = models[params_column(name)].combine_chunks()
        has = np.append(params.is_valid().to_numpy(zero_copy_only=False), False)
        chosen = np.flatnonzero(has[model])
        rows, series = Series.grouped(model[chosen], windows.end[chosen], windows.value[chosen])
        return cls(detector(name, policy=policy), params, chosen, rows, series)


def raw_scores(
    models: pa.Table, model: Integers, windows: WindowColumns, policy: EstimatorPolicy | None
) -> tuple[RawScores, dict[str, AdvancedCheckpoints]]:
    """Return the raw scores of windows, and the checkpoints after them of each detector that has checkpoints.

    Parameters
    ----------
    models, model, windows, policy
        As in :meth:`ModelWindows.of`.
    """
    advanced: dict[str, AdvancedCheckpoints] = {}
    found = RawScores(*np.full((4, len(model)), np.nan))
    limits = np.asarray(models["threshold"].to_numpy(), np.float64)
    for column in ("expected_low", "expected_high"):
        known = np.append(np.asarray(models[column].to_numpy(), np.float64), np.nan)[model]
        (found.low if column == "expected_low" else found.high)[:] = known
    for name in detectors_in(models):
        own = ModelWindows.of(models, name, model, windows, policy)
        params = own.params.take(pa.array(own.rows))
        found.raw[own.chosen], checkpoints, band = own.detector.advance(params, own.series, limits[own.rows])
        if checkpoints is not None:
            advanced[name] = AdvancedCheckpoints(own.rows, checkpoints)
        if band is not None:
            found.value[own.chosen], found.low[own.chosen], found.high[own.chosen] = band.value, band.low, band.high
    return found, advanced
