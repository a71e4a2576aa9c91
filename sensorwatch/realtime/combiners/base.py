"""Contract of a combiner, which chooses among the answers that several models gave for a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sensorwatch.realtime.records import ANOMALOUS_SCORE

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["NO_WINNER", "Answers", "Combiner", "most_confident"]

NO_WINNER = -1
"""Row of the winner of a window for which no model answered in time."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that models gave before the deadline.

    Attributes
    ----------
    scores
        Scores of 0-100, anomalous from 50; shape ``(n_models, n_windows)``, float64. NaN if the model was not called,
        missed the deadline or gave no score. Rows are in alphabetical order of the models' names, so that ties do not
        depend on which model answered first.
    seconds
        Duration of each call, same shape, float64; undefined where the score is NaN.
    weights
        Weight of each model, above 0; shape ``(n_models,)``, float64.
    """

    scores: Floats
    seconds: Floats
    weights: Floats

    @property
    def arrived(self) -> Flags:
        """Mask of the answers that exist, shape ``(n_models, n_windows)``."""
        return ~np.isnan(self.scores)

    @property
    def anomalous(self) -> Flags:
        """Mask of the anomalous answers, shape ``(n_models, n_windows)``."""
        return self.scores >= ANOMALOUS_SCORE


class Combiner(Protocol):
    """Stateless choice of the model whose answer counts, for every window."""

    name: str

    def winners(self, answers: Answers) -> Integers:
        """Return the row of the winning model of each window, shape ``(n_windows,)``, int64.

        It is :data:`NO_WINNER` for a window without answers.
        """
        ...


def most_confident(answers: Answers, among: Flags) -> Integers:
    """Return the row of the answer furthest from 50 for each window, shape ``(n_windows,)``, int64.

    Only answers in the mask ``among``, of shape ``(n_models, n_windows)``, are considered. The row is
    :data:`NO_WINNER` for a window without any.

    Examples
    --------
    >>> answers = Answers(np.array([[40.0, np.nan], [95.0, np.nan]]), np.zeros((2, 2)), np.ones(2))
    >>> most_confident(answers, answers.arrived).tolist()
    [1, -1]
    """
    certainty = np.where(among, np.abs(answers.scores - ANOMALOUS_SCORE), -1.0)
    return np.where(among.any(axis=0), certainty.argmax(axis=0), NO_WINNER)
