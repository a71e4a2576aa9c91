"""Explanations of a shard's anomalous windows. Only sensors with an anomalous window are explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.explaining import explain
from sensorwatch.detectors.explanation import explanation_json
from sensorwatch.models.scoring.raw_scores import ModelWindows
from sensorwatch.models.table import detectors_in

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.scoring.raw_scores import RawScores
    from sensorwatch.sensors.windows import WindowColumns

    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["explanations"]


def explanations(
    models: pa.Table,
    model: Integers,
    windows: WindowColumns,
    scored: RawScores,
    requested: Flags,
    policy: EstimatorPolicy | None,
) -> npt.NDArray[np.object_]:
    """Return the explanations of anomalous windows as JSON, shape ``(n_windows,)``; None for a normal window.

    Parameters
    ----------
    models, model, windows, policy
        As in :meth:`sensorwatch.models.scoring.raw_scores.ModelWindows.of`.
    scored
        Raw scores that :func:`sensorwatch.models.scoring.raw_scores.raw_scores` returned for the same arguments.
    requested
        True for windows that need an explanation if they are anomalous, shape ``(n_windows,)``, bool.
    """
    why = np.full(len(model), None, np.object_)
    calibration = Calibration.of(models)
    wanted = requested & calibration.anomalous(model, scored.raw)
    if not wanted.any():
        return why
    concerned = np.zeros(models.num_rows + 1, np.bool_)
    concerned[model[wanted]] = True
    model = np.where(concerned[model], model, -1)
    for name in detectors_in(models):
        own = ModelWindows.of(models, name, model, windows, policy)
        if not len(own.chosen):
            continue
        params = own.params.take(pa.array(own.rows))
        scores = calibration.scores(model[own.chosen], scored.raw[own.chosen])
        places = np.flatnonzero(wanted[own.chosen])
        found = explain(own.detector, params, own.series, scores, places)
        why[own.chosen[places]] = [explanation_json(each) for each in found]
    return why
