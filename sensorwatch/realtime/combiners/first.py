"""The answer that was there first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.realtime.combiners.base import NOBODY

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.realtime.combiners.base import Answers

__all__ = ["First"]


class First:
    """Takes the answer that took least time; of equal ones that of the model first by name."""

    name = "first"

    def winners(self, answers: Answers) -> npt.NDArray[np.int64]:
        """Return the row of the model whose answer counts; see :meth:`Decider.winners`."""
        arrived = answers.arrived
        seconds = np.where(arrived, answers.seconds, np.inf)
        return np.where(arrived.any(axis=0), seconds.argmin(axis=0), NOBODY)
