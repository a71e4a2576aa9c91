"""What a decider is: a way to make one answer of those that several models gave in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["NOBODY", "Answers", "Decider", "surest"]

NOBODY = -1
"""In place of a model where none answered in time."""

_ANOMALOUS = 50.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What the models of some windows answered in time.

    Attributes
    ----------
    scores
        0-100, 50 and more anomalous, shape ``(n_models, n_windows)``; NaN where a model was not asked, was late or has
        no answer. The rows are in the order of the models' names, so that ties never depend on who was first.
    seconds
        How long each answer took, in the same shape; of any value where there is none.
    weights
        Each model's weight, above 0, shape ``(n_models,)``.
    """

    scores: Floats
    seconds: Floats
    weights: Floats

    @property
    def arrived(self) -> Flags:
        """Which answers there are, shape ``(n_models, n_windows)``."""
        return ~np.isnan(self.scores)

    @property
    def anomalous(self) -> Flags:
        """Which of them say anomalous, in the same shape."""
        return self.scores >= _ANOMALOUS


class Decider(Protocol):
    """Chooses, for every window, the model whose answer counts; stateless."""

    name: str

    def winners(self, answers: Answers) -> Integers:
        """Return the row of the model whose answer counts, shape ``(n_windows,)``; :data:`NOBODY` without answers."""
        ...


def surest(answers: Answers, among: Flags) -> Integers:
    """Return the row of the answer furthest from 50 among those chosen; :data:`NOBODY` where none is.

    Examples
    --------
    >>> answers = Answers(np.array([[40.0, np.nan], [95.0, np.nan]]), np.zeros((2, 2)), np.ones(2))
    >>> surest(answers, answers.arrived).tolist()
    [1, -1]
    """
    certainty = np.where(among, np.abs(answers.scores - _ANOMALOUS), -1.0)
    return np.where(among.any(axis=0), certainty.argmax(axis=0), NOBODY)
