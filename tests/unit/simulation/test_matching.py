from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sensorwatch.simulation.anomalies import AnomalyKind, InjectedAnomaly
from sensorwatch.simulation.matching import Detection, Recall, match

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
SECOND = int(START.timestamp())


def anomaly(kind: AnomalyKind = "spike", device: str = "a", at: float = 0, seconds: float = 10) -> InjectedAnomaly:
    begin = START + timedelta(seconds=at)
    return InjectedAnomaly(device, "t", kind, begin, begin + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("end", "tolerance", "hit"),
    [(-1, 0, False), (0, 0, True), (10, 0, True), (14, 0, True), (15, 0, False), (15, 1, True), (-5, 5, True)],
)
def test_a_window_meets_an_anomaly_when_they_share_a_moment(end: int, tolerance: float, hit: bool) -> None:
    detections = [Detection("a", "t", SECOND + end)]
    report = match([anomaly()], detections, window_seconds=5, tolerance_seconds=tolerance)
    assert (report.total.detected, report.true_windows) == (int(hit), int(hit))


@pytest.mark.parametrize(("end", "behind"), [(10, 0), (14, 0), (15, 1), (44, 1), (45, 0), (-10, 0)])
def test_windows_soon_behind_an_anomaly_are_counted_by_themselves(end: int, behind: int) -> None:
    report = match([anomaly()], [Detection("a", "t", SECOND + end)], window_seconds=5, behind_seconds=30)
    assert report.windows_behind == behind


def test_recall_is_reported_by_kind_and_precision_over_distinct_windows() -> None:
    injected = [anomaly(), anomaly(at=100), anomaly("stuck", "b")]
    detections = [Detection("a", "t", SECOND + end) for end in (5, 5, 10, 50)] + [Detection("c", "t", SECOND + 5)]
    report = match(injected, detections, window_seconds=5)
    assert report.by_kind == {"spike": Recall(2, 1), "stuck": Recall(1, 0)}
    assert report.total == Recall(3, 1)
    assert (report.windows, report.true_windows, report.precision) == (4, 2, 0.5)
    assert report.missed == (injected[1], injected[2])
    assert report.by_kind["spike"].share == 0.5


def test_nothing_injected_and_nothing_detected_have_no_shares() -> None:
    report = match([], [], window_seconds=5)
    assert (report.precision, report.total.share, report.by_kind) == (None, None, {})
