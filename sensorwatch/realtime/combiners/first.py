"""Combiner ``first``: the answer of the fastest model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.realtime.combiners.base import NO_WINNER

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.realtime.combiners.base import Answers

__all__ = ["First"]


class First:
    """Choose the answer whose call took the least time; of equal ones, the model first by name."""

    name = "first"

    def winners(self, answers: Answers) -> npt.NDArray[np.int64]:
        """Return the row of the winning model of each window; see :meth:`Combiner.winners`."""
        arrived = answers.arrived
        seconds = np.where(arrived, answers.seconds, np.inf)
        return np.where(arrived.any(axis=0), seconds.argmin(axis=0), NO_WINNER)
