"""Fitting of a detector for a group of sensors, up to the rows of the model table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.detectors.base import calibration_of, training_scores
from sensorwatch.detectors.calibration import Calibration
from sensorwatch.models.table import MODEL_SCHEMA, params_column
from sensorwatch.models.training.promotion import refusals
from sensorwatch.models.training.refused import describe_refused

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.models.training.detector_choice import DetectorGroup, TrainingWindows
    from sensorwatch.models.training.promotion import PromotionRules
    from sensorwatch.models.training.warm_start import WarmStart

__all__ = ["fit_group"]


def fit_group(
    group: DetectorGroup,
    warm_start: WarmStart,
    training_seconds: int,
    needed: TrainingWindows,
    promotion: PromotionRules,
) -> tuple[pa.Table, list[dict[str, object]]]:
    """Return the rows of the model table for a group of sensors, and the manifest's entries of refused models.

    Parameters
    ----------
    group
        The sensors with their detector and their training windows.
    warm_start
        Fits the detector, starting from previous models.
    training_seconds
        Length of the training range, in seconds.
    needed
        Numbers of windows that a model needs.
    promotion
        Limits of the promotion gate.
    """
    chosen, series = group.detector, group.series.finite()
    enough = (series.lengths >= needed.minimum) | group.is_fallback
    fitted = warm_start.fit(chosen, group.sensor_ids, series, enough)
    candidate = np.array([reason is None for reason in fitted.reasons], dtype=np.bool_) & enough
    raw = training_scores(chosen, fitted, series)
    candidates = pc.if_else(pa.array(candidate), fitted.params, pa.scalar(None, fitted.params.type))
    calibration = calibration_of(chosen, raw, series.offsets)
    refused = refusals(chosen, candidates, series, raw, promotion)
    ready = candidate.copy()
    ready[list(refused)] = False
    low, high = chosen.expected_range(fitted.params)
    newest = group.series.times[group.series.offsets[1:] - 1]
    warming = ~enough | group.is_fallback
    states = np.where(warming, "warming", np.where(ready, "ready", "failed"))
    reasons = [
        f"{length} of {needed.minimum} windows" if warming[i] else refused.get(i, fitted.reasons[i] or "")
        for i, length in enumerate(series.lengths)
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
        "training_start": of_ready(newest - training_seconds),
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
            training_start=newest[i] - training_seconds,
            training_end=newest[i],
            **{name: getattr(calibration, name)[i] for name in Calibration.columns},
            expected_low=low[i],
            expected_high=high[i],
            params=fitted.params[i].as_py(),
        )
        for i, reason in refused.items()
    ]
    return pa.table([*columns.values(), params], schema=schema), kept
