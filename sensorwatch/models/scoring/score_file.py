"""Scoring of a data file with the models in use, shard by shard, as a run of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensorwatch.errors import InvalidInputError
from sensorwatch.models.scoring.score import score
from sensorwatch.tasks.records import TaskSpec, task_id

if TYPE_CHECKING:
    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.scoring.file_windows import FileWindows
    from sensorwatch.models.scoring.score import ScoreSummary
    from sensorwatch.tasks.ports import PredictionFiles

__all__ = ["DataScoring", "data_run_id", "score_data"]

_HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class DataScoring:
    """Result of scoring a data file: the run, a description of the data, and the summary of each shard."""

    run_id: str
    data: str
    shards: tuple[ScoreSummary, ...]

    def __str__(self) -> str:
        """Return one line for the data and one for each shard."""
        return "\n".join([f"{self.run_id}: {self.data}", *map(str, self.shards)])


def data_run_id(content: bytes) -> str:
    """Return the id of the run that scores a data file; scoring the same file again replaces its predictions.

    Examples
    --------
    >>> data_run_id(b"")
    'score-data-e3b0c44298fc1c14'
    """
    return f"score-data-{hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]}"


def score_data(
    data: FileWindows,
    run_id: str,
    shard: int | None,
    *,
    registry: ModelRegistry,
    predictions: PredictionFiles,
    policy: EstimatorPolicy | None = None,
) -> DataScoring:
    """Score all windows of a file whose sensors have a model, including those that the model was trained on.

    Parameters
    ----------
    data
        The windows of the file.
    run_id
        The run that the prediction files belong to.
    shard
        Score the sensors of this shard only; None: all.
    registry
        Source of the models.
    predictions
        Destination of the prediction files.
    policy
        Estimators that may be loaded; None: the configuration's defaults.

    Raises
    ------
    InvalidInputError
        There is nothing to score.
    CorruptModelError, NotFoundError
        A shard has models, but none that can be read.
    """
    shards = [each for each in data.shards if shard is None or each == shard]
    if not shards:
        raise InvalidInputError(f"the data contain nothing to score: {data}")
    end = data.end
    summaries = tuple(
        score(
            TaskSpec(run_id, task_id("score", each), "score", each, None, end),
            store=data,
            registry=registry,
            predictions=predictions,
            policy=policy,
            include_trained=True,
        )
        for each in shards
    )
    return DataScoring(run_id, str(data), summaries)
