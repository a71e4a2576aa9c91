"""Votes: what at least half of the answers that arrived say, each counting once or by its model's weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.realtime.combiners.base import surest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sensorwatch.realtime.combiners.base import Answers

__all__ = ["Vote"]


class Vote:
    """Anomalous when the mean of the 0/1 answers that arrived is 0.5 or more.

    The answer that counts is the surest of those on the winning side: its score, range and version are the window's.

    Parameters
    ----------
    name
        What rules call it.
    weighted
        Whether the mean is weighted, or every answer counts once.
    """

    def __init__(self, name: str, *, weighted: bool) -> None:
        self.name = name
        self._weighted = weighted

    def winners(self, answers: Answers) -> npt.NDArray[np.int64]:
        """Return the row of the model whose answer counts; see :meth:`Decider.winners`."""
        arrived, votes = answers.arrived, answers.anomalous
        weight = answers.weights[:, None] if self._weighted else 1.0
        anomalous = 2.0 * (votes * weight).sum(axis=0) >= (arrived * weight).sum(axis=0)
        return surest(answers, arrived & (votes == anomalous))
