from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.sensors.labelling import label_windows, spans_of
from sensorwatch.sensors.labels import (
    LABELLED_ANOMALOUS,
    LABELLED_NORMAL,
    UNLABELLED,
    KnownAnomaly,
    LabelSpan,
    ShardLabels,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def anomaly(sensor_id: int, start: float, end: float) -> KnownAnomaly:
    return KnownAnomaly(sensor_id, EPOCH + timedelta(seconds=start), EPOCH + timedelta(seconds=end))


def labels(known: ShardLabels, ends: list[int]) -> list[int]:
    found = label_windows(np.array([1]), np.array([0, len(ends)]), np.array(ends), known)
    return [int(label) for label in found]


@given(st.floats(0, 1e6), st.floats(0.001, 500), st.sampled_from([5, 10, 60]))
def test_a_window_is_anomalous_when_its_middle_is(start: float, seconds: float, window_seconds: int) -> None:
    span = spans_of([anomaly(1, start, start + seconds)], window_seconds)[0]
    exact = anomaly(1, start, start + seconds)
    low, high = exact.start.timestamp(), exact.end.timestamp()
    around = range(int(low // window_seconds) * window_seconds - window_seconds, int(high) + 3 * window_seconds)
    expected = [end for end in around if end % window_seconds == 0 and low <= end - window_seconds / 2 < high]
    found = list(range(span.first_end, span.last_end + 1, window_seconds))
    if expected:
        assert found == expected
    else:
        (end,) = found
        assert end - window_seconds < (low + high) / 2 <= end


def test_the_same_label_twice_is_one() -> None:
    assert len(spans_of([anomaly(1, 10, 20), anomaly(1, 10, 20)], 5)) == 2


def test_a_file_labels_what_lies_between_its_anomalies_as_normal() -> None:
    known = ShardLabels(spans_of([anomaly(1, 10, 20), anomaly(1, 40, 45)], 5))
    ends = list(range(5, 60, 5))
    expected = dict.fromkeys(range(15, 50, 5), LABELLED_NORMAL) | dict.fromkeys((15, 20, 45), LABELLED_ANOMALOUS)
    assert labels(known, ends) == [expected.get(end, UNLABELLED) for end in ends]


def test_before_the_first_label_and_after_the_last_nothing_is_known() -> None:
    known = ShardLabels([LabelSpan(1, 20, 25, anomalous=True), LabelSpan(1, 40, 40, anomalous=False)])
    assert labels(known, [15, 20, 25, 30, 35, 40, 45]) == [UNLABELLED, 1, 1, 0, 0, 0, UNLABELLED]


def test_an_anomaly_that_nobody_has_judged_is_not_learned_from() -> None:
    spans = [LabelSpan(1, 20, 20, anomalous=True), LabelSpan(1, 50, 50, anomalous=False)]
    known = ShardLabels(spans, found=[(1, 20), (1, 30), (1, 50), (2, 40)])
    assert labels(known, [20, 30, 40, 50]) == [LABELLED_ANOMALOUS, UNLABELLED, LABELLED_NORMAL, LABELLED_NORMAL]


def test_anomalous_wins_over_normal_in_any_order() -> None:
    spans = [LabelSpan(1, 10, 30, anomalous=False), LabelSpan(1, 20, 20, anomalous=True)]
    for known in (ShardLabels(spans), ShardLabels(spans[::-1])):
        assert labels(known, [10, 20, 30]) == [LABELLED_NORMAL, LABELLED_ANOMALOUS, LABELLED_NORMAL]


def test_each_sensor_has_its_own_labels() -> None:
    known = ShardLabels([LabelSpan(3, 5, 5, anomalous=True), LabelSpan(9, 10, 10, anomalous=True)])
    found = label_windows(np.array([3, 4]), np.array([0, 2, 4]), np.array([5, 10, 5, 10]), known)
    assert found.tolist() == [LABELLED_ANOMALOUS, UNLABELLED, UNLABELLED, UNLABELLED]
