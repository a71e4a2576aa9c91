"""Result files for the runner of the Numenta Anomaly Benchmark (NAB), to compute NAB's own score.

A detector's folder has a folder for each of NAB's categories with a file for each series. Its columns are
``timestamp``, ``value``, ``anomaly_score`` (0-1) and ``label``. The scores are those at which alarms begin or get worse
(:func:`sensorwatch.evaluation.episodes.onset_scores`), divided by 100; training windows have 0.

Source: the wiki of the project numenta/NAB, NAB Entry Points, option 2.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sensorwatch.evaluation.episodes import onset_scores
from sensorwatch.evaluation.nab import NAB_HOLD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sensorwatch.evaluation.labelled_series import LabelledSeries
    from sensorwatch.evaluation.scored_series import Scoring

__all__ = ["nab_name", "write_nab_results"]

_DECIMALS = 8


def nab_name(detector: str) -> str:
    """Return the name of a detector in NAB's results.

    Examples
    --------
    >>> nab_name("auto")
    'sensorwatch_auto'
    """
    return f"sensorwatch_{detector}"


def write_nab_results(folder: Path, place: Path, series: Sequence[LabelledSeries], scoring: Scoring) -> None:
    """Write the result files of a detector, replacing existing ones.

    Parameters
    ----------
    folder
        NAB's folder ``results``, or any other folder.
    place
        The file or folder that the series were read from. The last folder in the path of a file is its category.
    series
        The labelled series.
    scoring
        The detector's scores of these series.
    """
    name, root = nab_name(scoring.detector), place.resolve() if place.is_dir() else place.resolve().parent
    for each, scored in zip(series, scoring.series, strict=True):
        source = root / each.name
        results = pd.DataFrame(
            {
                "timestamp": [datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%S") for end in each.times],
                "value": each.values,
                "anomaly_score": np.concatenate(
                    (np.zeros(scored.first), onset_scores(scored.scores, NAB_HOLD) / 100)
                ).round(_DECIMALS),
                "label": each.labels.astype(np.int8),
            }
        )
        target = folder / name / source.parent.name / f"{name}_{source.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        results.to_csv(target, index=False, lineterminator="\n")
