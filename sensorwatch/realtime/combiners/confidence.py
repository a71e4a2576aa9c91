"""Combiner ``confidence``: the answer furthest from the boundary between normal and anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.realtime.combiners.base import most_confident

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sensorwatch.realtime.combiners.base import Answers

__all__ = ["Confidence"]


class Confidence:
    """Choose the answer whose score is furthest from 50; of equal ones, the model first by name."""

    name = "confidence"

    def winners(self, answers: Answers) -> npt.NDArray[np.int64]:
        """Return the row of the winning model of each window; see :meth:`Combiner.winners`."""
        return most_confident(answers, answers.arrived)
