from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import ticks_of
from sensorwatch.ingestion.windows import window_end
from sensorwatch.simulation.cpu import CpuFleet
from sensorwatch.simulation.ground_truth import read_ground_truth, write_ground_truth
from sensorwatch.simulation.labelled_values import LabelledValues
from sensorwatch.simulation.markov import Emission, MarkovSignal

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIGNAL = MarkovSignal()


def emit(first: int, count: int, signal: MarkovSignal = SIGNAL, seed: int = 1) -> LabelledValues:
    return signal.emit(first, count, seed=seed, device="cpu-1", tag="load")


def test_the_defaults_are_those_of_the_original_signal() -> None:
    assert SIGNAL.transitions == ((0.9, 0.1), (0.5, 0.5))
    assert (SIGNAL.normal, SIGNAL.anomalous) == ((0.3, 0.15), (0.6, 0.1))
    assert SIGNAL.steps_per_change == 3


def test_each_state_emits_its_own_distribution() -> None:
    values, anomalous = emit(0, 300_000)
    for state, emission in ((False, SIGNAL.normal), (True, SIGNAL.anomalous)):
        own = values[anomalous == state]
        assert own.mean() == pytest.approx(emission.mean, abs=0.003)
        assert own.std() == pytest.approx(emission.deviation, abs=0.003)


@pytest.mark.parametrize("transitions", [((0.9, 0.1), (0.5, 0.5)), ((0.2, 0.8), (0.7, 0.3)), ((0.6, 0.4), (0.6, 0.4))])
def test_states_follow_one_another_with_the_matrix_probabilities(
    transitions: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    states = emit(0, 200_000, MarkovSignal(transitions, steps_per_change=1)).anomalous
    for state, row in enumerate(transitions):
        following = states[1:][states[:-1] == bool(state)]
        assert following.mean() == pytest.approx(row[1], abs=0.006)


def test_the_state_changes_at_every_third_value_only() -> None:
    anomalous = emit(0, 30_000).anomalous.reshape(-1, 3)
    assert (anomalous == anomalous[:, :1]).all()
    assert (anomalous[1:, 0] != anomalous[:-1, 0]).any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-20_000, 20_000),
    st.integers(1, 600),
    st.integers(0, 600),
    st.integers(1, 7),
    st.floats(0, 1),
    st.floats(0.05, 0.95),
)
def test_a_range_is_the_same_however_it_is_cut(
    first: int, count: int, cut: int, steps: int, to_anomalous: float, stay: float
) -> None:
    signal = MarkovSignal(((1 - to_anomalous, to_anomalous), (1 - stay, stay)), steps_per_change=steps)
    whole = emit(first, count, signal)
    cut = min(cut, count)
    parts = emit(first, cut, signal), emit(first + cut, count - cut, signal)
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)
    np.testing.assert_array_equal(np.concatenate([part.anomalous for part in parts]), whole.anomalous)


def test_a_seed_repeats_and_another_does_not() -> None:
    np.testing.assert_array_equal(emit(0, 100).values, emit(0, 100).values)
    assert (emit(0, 100).values != emit(0, 100, seed=2).values).all()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"transitions": ((0.9, 0.2), (0.5, 0.5))}, "sum to 1"),
        ({"transitions": ((1.5, -0.5), (0.5, 0.5))}, "sum to 1"),
        ({"transitions": ((1.0, 0.0), (0.0, 1.0))}, "forgets"),
        ({"transitions": ((0.0, 1.0), (1.0, 0.0))}, "forgets"),
        ({"normal": Emission(0.3, -0.1)}, "negative"),
        ({"steps_per_change": 0}, "at least 1"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        MarkovSignal(**arguments)  # type: ignore[arg-type]


# ---- processors ------------------------------------------------------------------------------------------------------


def test_readings_come_in_order_one_per_interval_and_processor() -> None:
    fleet = CpuFleet(processors=3)
    readings = list(fleet.readings(NOON, NOON + timedelta(minutes=2)))
    assert len(readings) == 3 * 24
    assert [reading.ticks for reading in readings] == sorted(reading.ticks for reading in readings)
    assert {(reading.device, reading.tag) for reading in readings} == {(f"cpu-{n}", "load") for n in (1, 2, 3)}
    assert readings[0].ticks >= ticks_of(NOON)
    halves = [
        *fleet.readings(NOON, NOON + timedelta(seconds=61)),
        *fleet.readings(NOON + timedelta(seconds=61), NOON + timedelta(minutes=2)),
    ]
    assert halves == readings


def test_labels_cover_the_windows_of_the_busy_readings_and_no_others(tmp_path: Path) -> None:
    fleet, end = CpuFleet(processors=2), NOON + timedelta(minutes=30)
    write_ground_truth(tmp_path / "truth.ndjson", fleet.labels(NOON, end))
    labels = read_ground_truth(tmp_path / "truth.ndjson")
    first = int(NOON.timestamp()) // 5
    for sensor in fleet.sensors:
        busy = fleet.signal.emit(first, 360, seed=fleet.seed, device=sensor.device, tag=sensor.tag).anomalous
        windows = {(first + number + 1) * 5 for number in np.flatnonzero(busy).tolist()}
        covered = {
            second
            for label in labels
            if (label.device, label.tag) == sensor
            for second in range(int(label.start.timestamp()) + 5, int(label.end.timestamp()) + 5, 5)
        }
        assert covered == windows
        assert {label.kind for label in labels} == {"busy"}
    ends = {window_end(reading.ticks, 5) for reading in fleet.readings(NOON, end)}
    assert ends == set(range(first * 5 + 5, first * 5 + 1805, 5))
