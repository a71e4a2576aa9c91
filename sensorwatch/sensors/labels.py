"""Labels as records: what windows are known to be, for models that learn from it.

:mod:`sensorwatch.sensors.labelling` says how they come about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["LABELLED_ANOMALOUS", "LABELLED_NORMAL", "UNLABELLED", "KnownAnomaly", "LabelSpan", "ShardLabels"]

UNLABELLED, LABELLED_NORMAL, LABELLED_ANOMALOUS = -1, 0, 1
"""Values of the label of a window, int8; most windows have no label."""


class KnownAnomaly(NamedTuple):
    """When something was wrong with a sensor: ``start <= time < end``, aware."""

    sensor_id: int
    start: datetime
    end: datetime


class LabelSpan(NamedTuple):
    """Windows of one sensor that are all labelled the same: those with ``first_end <= end <= last_end``.

    Ends of windows are in seconds since 1970-01-01T00:00:00Z.
    """

    sensor_id: int
    first_end: int
    last_end: int
    anomalous: bool


@dataclass(frozen=True, slots=True)
class ShardLabels:
    """What is known of a shard's windows.

    Attributes
    ----------
    spans
        The labels.
    found
        The (sensor_id, end) of windows that were found to be anomalies, whatever became of them.
    """

    spans: Sequence[LabelSpan] = ()
    found: Sequence[tuple[int, int]] = ()
