"""Labels of single windows, for supervised models. Pure.

Labels come from imported files and from feedback on alerts. The first matching rule decides:

1. A window in a span that is labelled anomalous is anomalous. Such spans are anomalies of a file and confirmed alerts.
2. A window in a span that is labelled normal is normal. Such spans are the period of a file and alerts that were judged
   to be no fault.
3. A window between the sensor's first and last label is normal if it was not scored as anomalous: somebody watched the
   sensor then, and reported no fault. An anomaly that nobody has judged has no label.

Windows before the first and after the last label have none, because a fault that nobody has reported yet must not be
learned as normal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.sensors.labels import LABELLED_ANOMALOUS, LABELLED_NORMAL, UNLABELLED, LabelSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from sensorwatch.sensors.labels import KnownAnomaly, ShardLabels

__all__ = ["label_windows", "spans_of"]


def spans_of(anomalies: Iterable[KnownAnomaly], window_seconds: int) -> list[LabelSpan]:
    """Return the label spans for known anomalies, without duplicates.

    A window is anomalous if its middle lies in an anomaly. If an anomaly contains no window's middle, the window around
    the middle of the anomaly is anomalous. For each sensor, one normal span covers its windows from the first to the
    last anomalous one.

    Parameters
    ----------
    anomalies
        Known anomalies.
    window_seconds
        Length of a window, in seconds.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from sensorwatch.sensors.labels import KnownAnomaly
    >>> times = [datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (2, 10, 31, 32)]
    >>> for span in spans_of([KnownAnomaly(1, *times[:2]), KnownAnomaly(1, *times[2:])], 5):
    ...     print(span)
    LabelSpan(sensor_id=1, first_end=5, last_end=10, anomalous=True)
    LabelSpan(sensor_id=1, first_end=35, last_end=35, anomalous=True)
    LabelSpan(sensor_id=1, first_end=5, last_end=35, anomalous=False)
    """
    found = sorted({LabelSpan(each.sensor_id, *_ends(each, window_seconds), anomalous=True) for each in anomalies})
    time: dict[int, tuple[int, int]] = {}
    for span in found:
        first, last = time.get(span.sensor_id, (span.first_end, span.last_end))
        time[span.sensor_id] = min(first, span.first_end), max(last, span.last_end)
    return found + [LabelSpan(sensor_id, *ends, anomalous=False) for sensor_id, ends in sorted(time.items())]


def _ends(anomaly: KnownAnomaly, window_seconds: int) -> tuple[int, int]:
    start, end = anomaly.start.timestamp(), anomaly.end.timestamp()
    first = math.ceil(start / window_seconds + 0.5)
    last = math.ceil(end / window_seconds + 0.5) - 1
    if first > last:
        first = last = math.ceil((start + end) / 2 / window_seconds)
    return first * window_seconds, last * window_seconds


def label_windows(
    sensor_ids: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    known: ShardLabels,
) -> npt.NDArray[np.int8]:
    """Return the label of each window, shape ``(n_windows,)``, int8.

    Parameters
    ----------
    sensor_ids
        Sensors in ascending order, shape ``(n_sensors,)``, int64.
    offsets
        Windows ``offsets[i]:offsets[i + 1]`` belong to sensor ``i``, shape ``(n_sensors + 1,)``, int64.
    ends
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, ascending for each sensor, shape ``(n_windows,)``,
        int64.
    known
        Labels and anomalies of the shard; those of other sensors are ignored.
    """
    labels = np.full(len(ends), UNLABELLED, np.int8)
    place = {sensor_id: slice(*offsets[i : i + 2]) for i, sensor_id in enumerate(sensor_ids.tolist())}
    spans: dict[int, list[LabelSpan]] = {}
    for span in known.spans:
        if span.sensor_id in place:
            spans.setdefault(span.sensor_id, []).append(span)
    found: dict[int, list[int]] = {}
    for sensor_id, end in known.found:
        found.setdefault(sensor_id, []).append(end)
    for sensor_id, own in spans.items():
        labels[place[sensor_id]] = _of_sensor(ends[place[sensor_id]], own, found.get(sensor_id, []))
    return labels


def _of_sensor(ends: npt.NDArray[np.int64], spans: Sequence[LabelSpan], found: Sequence[int]) -> npt.NDArray[np.int8]:
    labels = np.full(len(ends), UNLABELLED, np.int8)
    watched = (ends >= min(span.first_end for span in spans)) & (ends <= max(span.last_end for span in spans))
    labels[watched & ~np.isin(ends, found)] = LABELLED_NORMAL
    for span in sorted(spans, key=lambda span: span.anomalous):
        first, last = np.searchsorted(ends, span.first_end), np.searchsorted(ends, span.last_end, side="right")
        labels[first:last] = LABELLED_ANOMALOUS if span.anomalous else LABELLED_NORMAL
    return labels
