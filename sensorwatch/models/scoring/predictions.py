"""Conversion of raw scores into the predictions of a scoring task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.calibration import SCORE_SEVERITIES, Calibration, severity_codes
from sensorwatch.models.table import is_fallback
from sensorwatch.tasks.prediction_schema import ANOMALOUS, NORMAL, prediction_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.models.scoring.raw_scores import RawScores
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.sensors.windows import WindowColumns

__all__ = ["predictions_of"]


def predictions_of(
    models: pa.Table,
    windows: WindowColumns,
    scored: RawScores,
    explained: npt.NDArray[np.object_],
    rescored: npt.NDArray[np.bool_],
    sensors: Sequence[SensorStatus],
) -> pa.Table:
    """Return the predictions of the windows that have a raw score, in the order of the windows.

    Parameters
    ----------
    models
        The shard's model table. Every sensor of a window with a raw score has a model in it.
    windows
        The windows.
    scored
        Their raw scores. A window without one (NaN) gets no prediction.
    explained
        Explanations of the anomalous windows, as :func:`~sensorwatch.models.scoring.explain.explanations` returns them.
    rescored
        True for each window that was scored before, shape ``(n_windows,)``, bool.
    sensors
        The shard's sensors, ordered by id.

    Returns
    -------
    pyarrow.Table
        Columns as :mod:`sensorwatch.tasks.prediction_schema` documents them.
    """
    has = ~np.isnan(scored.raw)
    sensor_id, end, value = windows.sensor_id[has], windows.end[has], windows.value[has]
    scored, explained, rescored = scored.only(has), explained[has], rescored[has]
    model = np.searchsorted(models["sensor_id"].to_numpy(), sensor_id).astype(np.int64)
    calibration = Calibration.of(models)
    scores = calibration.scores(model, scored.raw)
    anomalous = calibration.anomalous(model, scored.raw)
    sensor = np.searchsorted([each.sensor_id for each in sensors], sensor_id)
    columns = {
        "sensor_id": pa.array(sensor_id),
        "device": _repeated([each.key.device for each in sensors], sensor),
        "tag": _repeated([each.key.tag for each in sensors], sensor),
        "ts": pa.array(end),
        "value": pa.array(value),
        "prediction": pa.array(np.where(anomalous, ANOMALOUS, NORMAL).astype(np.int8)),
        "score": pa.array(scores),
        "severity": _repeated(SCORE_SEVERITIES, severity_codes(scores)),
        "expected_low": _numbers(scored.low),
        "expected_high": _numbers(scored.high),
        "model_version": models["version"].combine_chunks().dictionary_encode().take(pa.array(model)),
        "rescored": pa.array(rescored),
        "training_start": models["training_start"].combine_chunks().take(pa.array(model)),
        "training_end": models["training_end"].combine_chunks().take(pa.array(model)),
        "expected_value": _numbers(scored.value),
        "explanation": pa.array(explained, pa.string()),
        "warming": is_fallback(models).combine_chunks().take(pa.array(model)),
    }
    return pa.table([columns[name] for name in prediction_schema().names], names=prediction_schema().names)


def _numbers(values: npt.NDArray[np.float64]) -> pa.DoubleArray:
    """Return numbers as an Arrow array, with null for NaN and infinity."""
    return pa.array(values, mask=~np.isfinite(values))


def _repeated(texts: Sequence[str], position: npt.NDArray[np.integer]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(position.astype(np.int32)), pa.array(texts, pa.string()))
