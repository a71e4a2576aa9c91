"""The contract of a detector that is made of other detectors."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.base import Detector

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from sensorwatch.detectors.base import Fitted
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["NEW_NORMAL_SECONDS", "CompositeDetector", "PreviousModels"]

NEW_NORMAL_SECONDS = 21_600
"""Six hours: how long a lasting change is anomalous before it becomes normal."""


@dataclass(frozen=True, slots=True)
class PreviousModels:
    """Models that a warm start continues from; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    params
        Parameters of the sensors' models of the same detector; null for a sensor without one.
    reweigh
        Sensors whose member weights may be computed again, which takes long. The others keep theirs.
    peer_group
        Number of each sensor's peer group. Sensors without weights of their own get the mean of their group.
    new_normal_seconds
        How long a lasting change is anomalous, for a detector that was not given another time.
    """

    params: pa.StructArray
    reweigh: Flags
    peer_group: Integers
    new_normal_seconds: int = NEW_NORMAL_SECONDS

    @classmethod
    def keeping_weights(cls, params: pa.StructArray) -> PreviousModels:
        """Return previous models whose member weights are all kept; every sensor is a peer group of its own."""
        return cls(params, np.zeros(len(params), np.bool_), np.arange(len(params)))


class CompositeDetector(Detector):
    """A detector that is made of other detectors, its members."""

    @abstractmethod
    def warm_start(self, series: Series, previous: PreviousModels) -> Fitted:
        """Fit one model per sensor, as :meth:`fit` does, but keep weights of previous models.

        Parameters
        ----------
        series
            Training windows.
        previous
            Models in use, and which of their weights may be computed again.
        """

    @abstractmethod
    def members(self, params: pa.StructArray) -> Mapping[str, tuple[Detector, pa.StructArray]]:
        """Return the members of any of the sensors by name, with their parameters; null for a sensor without it."""

    @abstractmethod
    def member_rarities(self, params: pa.StructArray, series: Series) -> Mapping[str, Floats]:
        """Return the rarity of each window by each member, shape ``(n_values,)``; NaN where it has no score."""

    @abstractmethod
    def weights(self, params: pa.StructArray) -> Mapping[str, Floats]:
        """Return the weight of each candidate, shape ``(n_sensors,)``; NaN where it is not a member."""
