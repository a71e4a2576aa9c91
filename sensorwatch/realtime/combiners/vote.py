"""Combiners ``majority`` and ``weighted``: a vote of the models that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.realtime.combiners.base import most_confident

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sensorwatch.realtime.combiners.base import Answers

__all__ = ["Vote"]


class Vote:
    """Call a window anomalous if at least half of the votes say so.

    Each model that answered in time has one vote. The winner is the answer furthest from 50 on the winning side; the
    window gets its score, expected range and model version.

    Parameters
    ----------
    name
        Name of the combiner in ``sensorwatch.yaml``.
    weighted
        Count each vote with the weight of its model instead of 1.
    """

    def __init__(self, name: str, *, weighted: bool) -> None:
        self.name = name
        self._weighted = weighted

    def winners(self, answers: Answers) -> npt.NDArray[np.int64]:
        """Return the row of the winning model of each window; see :meth:`Combiner.winners`."""
        arrived, votes = answers.arrived, answers.anomalous
        weight = answers.weights[:, None] if self._weighted else 1.0
        anomalous = 2.0 * (votes * weight).sum(axis=0) >= (arrived * weight).sum(axis=0)
        return most_confident(answers, arrived & (votes == anomalous))
