"""The answer furthest from the boundary between normal and anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.realtime.combiners.base import surest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sensorwatch.realtime.combiners.base import Answers

__all__ = ["Confidence"]


class Confidence:
    """Takes the answer whose score is furthest from 50."""

    name = "confidence"

    def winners(self, answers: Answers) -> npt.NDArray[np.int64]:
        """Return the row of the model whose answer counts; see :meth:`Decider.winners`."""
        return surest(answers, answers.arrived)
