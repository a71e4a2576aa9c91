from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import ReadingRules, decode, encode, ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.windows import window_end
from sensorwatch.simulation.anomalies import ANOMALY_KINDS, AnomalyKind, InjectedAnomaly, plan_anomalies
from sensorwatch.simulation.fleet import DEFAULT_TAGS, Fleet, device_names, tag_names
from sensorwatch.simulation.ground_truth import read_ground_truth, write_ground_truth
from sensorwatch.simulation.matching import Detection, match
from sensorwatch.simulation.signals import signal_of

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ONE = Fleet(devices=("press-1",), tags=("flow",))


def values_of(fleet: Fleet, anomalies: list[InjectedAnomaly], start: datetime = START) -> list[float]:
    return [reading.value for reading in fleet.readings(start, start + 10 * MINUTE, anomalies)]


def fault(kind: AnomalyKind, tag: str = "flow") -> InjectedAnomaly:
    return InjectedAnomaly("press-1", tag, kind, START + 3 * MINUTE, START + 5 * MINUTE)


def test_the_default_fleet_is_three_machines_with_five_tags() -> None:
    assert device_names(3) == ("press-1", "pump-2", "oven-3")
    assert tag_names(6) == (*DEFAULT_TAGS, "tag-6")
    assert tag_names(2) == DEFAULT_TAGS[:2]
    assert len(set(device_names(100))) == 100
    assert len(Fleet().sensors) == 15


def test_every_sensor_reads_once_an_interval_in_the_order_of_time() -> None:
    readings = list(Fleet(interval_seconds=5).readings(START, START + HOUR))
    assert len(readings) == 15 * 720
    assert [reading.ticks for reading in readings] == sorted(reading.ticks for reading in readings)
    assert min(x.ticks for x in readings) >= ticks_of(START)
    assert max(x.ticks for x in readings) < ticks_of(START + HOUR)
    assert len(Fleet().sensors) == 15
    for device, tag in Fleet().sensors:
        gaps = np.diff([x.ticks for x in readings if x[:2] == (device, tag)])
        assert set(gaps.tolist()) == {50_000_000}


def test_the_same_seed_repeats_and_another_differs() -> None:
    assert values_of(Fleet(seed=3), []) == values_of(Fleet(seed=3), [])
    assert values_of(Fleet(seed=3), []) != values_of(Fleet(seed=4), [])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 6_000_000_000), max_size=4), st.sampled_from([0.25, 1.0, 7.3]))
def test_a_range_gives_the_same_readings_however_it_is_cut(cuts: list[int], interval_seconds: float) -> None:
    fleet = Fleet(devices=("press-1",), tags=("flow", "current"), interval_seconds=interval_seconds)
    anomalies = [fault(kind) for kind in ANOMALY_KINDS]
    bounds = [START, *(START + timedelta(microseconds=cut / 10) for cut in sorted(cuts)), START + 10 * MINUTE]
    parts = [x for low, high in itertools.pairwise(bounds) for x in fleet.readings(low, high, anomalies)]
    assert parts == list(fleet.readings(START, START + 10 * MINUTE, anomalies))


def test_columns_and_readings_agree() -> None:
    fleet = Fleet()
    columns = fleet.columns(START, START + MINUTE)
    expected = [
        Reading(fleet.sensors[sensor].device, fleet.sensors[sensor].tag, ticks, value)
        for ticks, sensor, value in zip(*(column.tolist() for column in columns), strict=True)
    ]
    assert list(fleet.readings(START, START + MINUTE)) == expected


def test_a_healthy_signal_keeps_near_its_level_over_weeks() -> None:
    signal = signal_of("press-1", "flow", ONE.seed)
    slow = Fleet(devices=ONE.devices, tags=ONE.tags, interval_seconds=60)
    values = slow.columns(START, START + timedelta(days=60)).value
    assert abs(values - signal.level).max() < 10 * signal.noise
    assert values.std() > signal.noise


@pytest.mark.parametrize("kind", ANOMALY_KINDS)
def test_an_anomaly_disturbs_its_span_and_nothing_else(kind: AnomalyKind) -> None:
    healthy, disturbed = (np.array(values_of(ONE, anomalies)) for anomalies in ([], [fault(kind)]))
    changed = np.flatnonzero(healthy != disturbed)
    assert 115 <= len(changed) <= 120
    assert (changed >= 180).all()
    assert (changed < 300).all()
    assert values_of(ONE, [fault(kind, "current")]) == healthy.tolist()


def test_each_kind_looks_as_it_should() -> None:
    noise = signal_of("press-1", "flow", ONE.seed).noise
    healthy = np.array(values_of(ONE, []))[180:300]
    spans = {kind: np.array(values_of(ONE, [fault(kind)])) for kind in ANOMALY_KINDS}
    assert set(spans["dropout"][180:300]) == {0.0}
    assert set(spans["stuck"][180:300]) == {spans["stuck"][179]}
    assert 6 * noise < np.abs(spans["level-shift"][180:300] - healthy).min()
    assert 7 * noise < np.abs(spans["spike"][180:300] - healthy).min()
    assert spans["noise-burst"][180:300].std() > 5 * noise


def test_planned_anomalies_fit_and_leave_each_sensor_time_between_them() -> None:
    sensors = Fleet().sensors
    planned = plan_anomalies(sensors, START, START + HOUR, per_kind=6, seed=1)
    assert planned == plan_anomalies(sensors, START, START + HOUR, per_kind=6, seed=1)
    assert sorted(x.kind for x in planned) == sorted(ANOMALY_KINDS * 6)
    assert len({(x.device, x.tag) for x in planned}) == 15
    for one in planned:
        assert START + MINUTE <= one.start < one.end <= START + HOUR
        for other in planned:
            if one is not other and (one.device, one.tag) == (other.device, other.tag):
                assert one.end + MINUTE <= other.start or other.end + MINUTE <= one.start


@pytest.mark.parametrize(("minutes", "per_kind"), [(2, 1), (10, 5)])
def test_anomalies_without_room_are_refused(minutes: int, per_kind: int) -> None:
    with pytest.raises(InvalidInputError, match="no room for anomaly"):
        plan_anomalies(ONE.sensors, START, START + minutes * MINUTE, per_kind=per_kind, seed=1)


def test_a_model_of_the_range_finds_all_but_what_stays_in_range() -> None:
    fleet = Fleet(seed=7)
    anomalies = plan_anomalies(fleet.sensors, START + HOUR, START + 2 * HOUR, per_kind=5, seed=7)
    healthy = averages(fleet, START, [])
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    for (sensor, _), value in healthy.items():
        low[sensor] = min(low.get(sensor, value), value)
        high[sensor] = max(high.get(sensor, value), value)
    detections = [
        Detection(*fleet.sensors[sensor], end)
        for (sensor, end), value in averages(fleet, START + HOUR, anomalies).items()
        if not low[sensor] <= value <= high[sensor]
    ]
    report = match(anomalies, detections, window_seconds=5)
    for kind in ("dropout", "level-shift", "noise-burst", "spike"):
        assert report.by_kind[kind].share == 1.0
    assert report.precision is not None
    assert report.precision > 0.6


def averages(fleet: Fleet, start: datetime, anomalies: list[InjectedAnomaly]) -> dict[tuple[int, int], float]:
    columns = fleet.columns(start, start + HOUR, anomalies)
    values: dict[tuple[int, int], list[float]] = {}
    for ticks, sensor, value in zip(*(column.tolist() for column in columns), strict=True):
        values.setdefault((sensor, window_end(ticks, 5)), []).append(value)
    return {key: sum(of) / len(of) for key, of in values.items()}


def test_readings_of_the_fleet_are_accepted_unchanged() -> None:
    readings = list(Fleet().readings(START, START + MINUTE, [fault("dropout")]))
    now = ticks_of(START + HOUR)
    assert [decode(encode(x), enqueued_ticks=now, rules=ReadingRules()) for x in readings] == [[x] for x in readings]


def test_ground_truth_comes_back_as_it_was_written(tmp_path: Path) -> None:
    anomalies = plan_anomalies(Fleet().sensors, START, START + HOUR, per_kind=2, seed=1)
    path = tmp_path / "folder" / "truth.ndjson"
    write_ground_truth(path, anomalies)
    assert read_ground_truth(path) == anomalies


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"device": "a"}', '{"device":"a","tag":"b","kind":"mood","start":"","end":""}']
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "truth.ndjson"
    path.write_text("\n" + line)
    with pytest.raises(InvalidInputError, match=r"truth\.ndjson, line 2: expected an object with device"):
        read_ground_truth(path)


def test_a_missing_ground_truth_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="can't be read as a ground-truth file"):
        read_ground_truth(tmp_path / "nowhere.ndjson")


def test_a_fleet_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"interval_seconds must be at least 0\.001, got `0`"):
        Fleet(interval_seconds=0)
    with pytest.raises(InvalidInputError, match="at least one device"):
        Fleet(devices=())
