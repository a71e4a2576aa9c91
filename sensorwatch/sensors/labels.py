"""Records of labels: windows that are known to be normal or anomalous, for supervised models.

:mod:`sensorwatch.sensors.labelling` turns them into labels of single windows.
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
    """A period ``start <= time < end`` in which a sensor was faulty; times have a time zone."""

    sensor_id: int
    start: datetime
    end: datetime


class LabelSpan(NamedTuple):
    """Windows of one sensor with the same label: ``first_end <= end <= last_end``.

    Ends of windows are in seconds since 1970-01-01T00:00:00Z.
    """

    sensor_id: int
    first_end: int
    last_end: int
    anomalous: bool


@dataclass(frozen=True, slots=True)
class ShardLabels:
    """Labels and anomalies of a shard.

    Attributes
    ----------
    spans
        Labelled spans.
    found
        (sensor_id, end) of all windows that were scored as anomalous, judged or not.
    """

    spans: Sequence[LabelSpan] = ()
    found: Sequence[tuple[int, int]] = ()
