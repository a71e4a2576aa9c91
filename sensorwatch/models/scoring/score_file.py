"""Score a data file with the models in use, shard by shard, as a run of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sensorwatch.errors import InvalidInputError
from sensorwatch.models.scoring.score import ScoringStore, score
from sensorwatch.tasks.records import TaskSpec, task_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.scoring.score import ScoreSummary
    from sensorwatch.tasks.ports import PredictionFiles

__all__ = ["DataScoring", "DataWindows", "data_run_id", "score_data"]

_HASH_DIGITS = 16


class DataWindows(ScoringStore, Protocol):
    """What scoring needs of a data file; ``str`` of it says what is in it."""

    @property
    def shards(self) -> Sequence[int]:
        """The shards of the file's sensors."""
        ...

    @property
    def end(self) -> datetime:
        """End of the newest window (UTC)."""
        ...


@dataclass(frozen=True, slots=True)
class DataScoring:
    """What was scored: what is in the data, and each shard's summary."""

    run_id: str
    data: str
    shards: tuple[ScoreSummary, ...]

    def __str__(self) -> str:
        """Return one line for the data and one for each shard."""
        return "\n".join([f"{self.run_id}: {self.data}", *map(str, self.shards)])


def data_run_id(content: bytes) -> str:
    """Return the id of the run that scores a data file: the same file again replaces its predictions.

    Examples
    --------
    >>> data_run_id(b"")
    'score-data-e3b0c44298fc1c14'
    """
    return f"score-data-{hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]}"


def score_data(
    data: DataWindows,
    run_id: str,
    shard: int | None,
    *,
    registry: ModelRegistry,
    predictions: PredictionFiles,
    policy: EstimatorPolicy | None = None,
) -> DataScoring:
    """Score all windows of a file whose sensors have a model, those that it was trained on too.

    Parameters
    ----------
    data
        The file's windows.
    run_id
        The run that the prediction files belong to.
    shard
        Score the sensors of this shard only; None: all.
    registry, predictions
        Where models come from, where predictions go.
    policy
        Which stored estimators may be loaded; None: the configuration's defaults.

    Raises
    ------
    InvalidInputError
        There is nothing to score.
    CorruptModelError, NotFoundError
        A shard has models, but none that can be read.
    """
    shards = [each for each in data.shards if shard is None or each == shard]
    if not shards:
        raise InvalidInputError(f"the data hold nothing to score: {data}")
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
