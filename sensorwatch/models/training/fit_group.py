"""Fitting of a detector for a group of sensors, up to the rows of the model table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.detectors.base import calibration_of, training_scores
from sensorwatch.detectors.calibration import Calibration
from sensorwatch.models.table import MODEL_SCHEMA, params_column
from sensorwatch.models.training.older_windows import lacking_reason
from sensorwatch.models.training.promotion import refusals
from sensorwatch.models.training.refused import describe_refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series
    from sensorwatch.models.training.detector_choice import DetectorGroup, TrainingWindows
    from sensorwatch.models.training.older_windows import OlderWindows
    from sensorwatch.models.training.promotion import PromotionRules
    from sensorwatch.models.training.warm_start import WarmStart

__all__ = ["FittingRules", "fit_group"]


@dataclass(frozen=True, slots=True)
class FittingRules:
    """Rules by which the groups of a training task are fitted.

    Attributes
    ----------
    warm_start
        Fits a detector, starting from previous models.
    training_seconds
        Length of the training range, in seconds.
    needed
        Numbers of windows that a model needs.
    promotion
        Limits of the promotion gate.
    older
        Limits of windows from before the training range; None if only the range was read.
    trend_starts
        Beginning of the new trend, in seconds since 1970-01-01T00:00:00Z, by the id of a sensor with such feedback.
    """

    warm_start: WarmStart
    training_seconds: int
    needed: TrainingWindows
    promotion: PromotionRules
    older: OlderWindows | None
    trend_starts: Mapping[int, int]

    def lacking(self, sensor_id: int, series: Series) -> str:
        """Return the reason why one sensor with these windows is warming."""
        return lacking_reason(series.times, self.needed.minimum, self.older, self.trend_starts.get(sensor_id))

    def starts(self, series: Series) -> npt.NDArray[np.int64]:
        """Return the exclusive start of each sensor's training windows, shape ``(n_sensors,)``, int64."""
        first = series.times[series.offsets[:-1]]
        starts: npt.NDArray[np.int64] = series.times[series.offsets[1:] - 1] - self.training_seconds
        return starts if self.older is None else np.where(first > starts, starts, first - self.older.window_seconds)


def fit_group(group: DetectorGroup, rules: FittingRules) -> tuple[pa.Table, list[dict[str, object]]]:
    """Return the rows of the model table for a group of sensors, and the manifest's entries of refused models.

    Parameters
    ----------
    group
        The sensors with their detector and their training windows.
    rules
        Rules of the training task.
    """
    chosen, series = group.detector, group.series.finite()
    enough = (series.lengths >= rules.needed.minimum) | group.is_fallback
    fitted = rules.warm_start.fit(chosen, group.sensor_ids, series, enough)
    candidate = np.array([reason is None for reason in fitted.reasons], dtype=np.bool_) & enough
    raw = training_scores(chosen, fitted, series)
    candidates = pc.if_else(pa.array(candidate), fitted.params, pa.scalar(None, fitted.params.type))
    calibration = calibration_of(chosen, raw, series.offsets)
    refused = refusals(chosen, candidates, series, raw, rules.promotion)
    ready = candidate.copy()
    ready[list(refused)] = False
    low, high = chosen.expected_range(fitted.params)
    oldest, newest = rules.starts(group.series), group.series.times[group.series.offsets[1:] - 1]
    warming = ~enough | group.is_fallback
    states = np.where(warming, "warming", np.where(ready, "ready", "failed"))
    reasons = [
        rules.lacking(sensor_id, series.part(i, i + 1)) if warming[i] else refused.get(i, fitted.reasons[i] or "")
        for i, sensor_id in enumerate(group.sensor_ids.tolist())
    ]

    def of_ready(values: npt.NDArray[Any]) -> pa.Array:
        # Rows of equal models must be equal, but NaN is not equal to itself: it is stored as null.
        return pa.array(values, mask=~ready | np.isnan(values))

    columns = {
        "sensor_id": pa.array(group.sensor_ids),
        "detector": pa.repeat(chosen.name, len(ready)),
        "state": pa.array(states.tolist(), pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "windows": pa.array(series.lengths),
        "training_start": of_ready(oldest),
        "training_end": of_ready(newest),
        "first_training_end": of_ready(newest),
        "version": pa.repeat("", len(ready)),
        **{name: of_ready(getattr(calibration, name)) for name in Calibration.columns},
        "expected_low": of_ready(low),
        "expected_high": of_ready(high),
    }
    params = pc.if_else(pa.array(ready), fitted.params, pa.scalar(None, fitted.params.type))
    schema = MODEL_SCHEMA.append(pa.field(params_column(chosen.name), params.type))
    kept = [
        describe_refused(
            sensor_id=group.sensor_ids[i],
            detector=chosen.name,
            reason=reason,
            windows=series.lengths[i],
            training_start=oldest[i],
            training_end=newest[i],
            **{name: getattr(calibration, name)[i] for name in Calibration.columns},
            expected_low=low[i],
            expected_high=high[i],
            params=fitted.params[i].as_py(),
        )
        for i, reason in refused.items()
    ]
    return pa.table([*columns.values(), params], schema=schema), kept
