"""Pieces of signals, and what is composed of them: a range may be cut anywhere, and each has laws of its own."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.simulation.composed import ComposedFleet
from sensorwatch.simulation.labelled_values import ReadingSpan
from sensorwatch.simulation.markov import MarkovSignal
from sensorwatch.simulation.shapes import (
    Constant,
    Normal,
    Product,
    Pulse,
    Ramp,
    RandomPulses,
    Shape,
    Sinusoid,
    Step,
    Sum,
    Uniform,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

moments = st.floats(-50_000, 50_000)
levels = st.floats(-10, 10)
lengths = st.floats(0.5, 500)
pieces: st.SearchStrategy[Shape] = st.one_of(
    st.builds(Constant, levels),
    st.builds(Normal, st.floats(0, 5), levels),
    st.builds(Uniform, st.floats(-5, 0), st.floats(0, 5)),
    st.builds(Step, moments, levels, levels),
    st.builds(lambda begin, length: Ramp(begin, begin + length), moments, lengths),
    st.builds(
        lambda begin, length, pause: Pulse(begin, length, length + pause, anomalous=True), moments, lengths, lengths
    ),
    st.builds(lambda least, more: RandomPulses(least + more, least, least + more, 2.0), lengths, lengths),
    st.builds(Sinusoid, lengths, levels, moments),
    st.just(MarkovSignal()),
)


def composed(parts: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    some = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.builds(Sum, some) | st.builds(Product, some)


signals: st.SearchStrategy[Shape] = st.recursive(pieces, composed, max_leaves=5)


def span(first: int, count: int, *, interval: float = 1.0, seed: int = 1, sensor: str = "press-1") -> ReadingSpan:
    seconds = (np.arange(first, first + count, dtype=np.float64) + 0.5) * interval
    return ReadingSpan(first, seconds, (seed, sensor, "load"))


# ---- laws of all -----------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(signals, st.integers(-20_000, 20_000), st.integers(0, 400), st.integers(0, 400), st.sampled_from([0.25, 1, 60]))
def test_a_range_is_the_same_however_it_is_cut(
    signal: Shape, first: int, count: int, cut: int, interval: float
) -> None:
    cut = min(cut, count)
    whole = signal.over(span(first, count, interval=interval))
    before = signal.over(span(first, cut, interval=interval))
    after = signal.over(span(first + cut, count - cut, interval=interval))
    assert len(whole.values) == len(whole.anomalous) == count
    np.testing.assert_array_equal(np.concatenate([before.values, after.values]), whole.values)
    np.testing.assert_array_equal(np.concatenate([before.anomalous, after.anomalous]), whole.anomalous)


@pytest.mark.parametrize("signal", [Normal(), Uniform(), RandomPulses(10, 1, 5)], ids=lambda signal: type(signal))
def test_randomness_depends_on_the_seed_the_sensor_and_the_place_in_the_signal_only(signal: Shape) -> None:
    values = signal.over(span(0, 500)).values
    np.testing.assert_array_equal(values, signal.over(span(0, 500)).values)
    for other in (span(0, 500, seed=2), span(0, 500, sensor="press-2"), span(0, 500).inside(0)):
        assert (signal.over(other).values != values).any()
    twice = Sum((signal, Product((Constant(-1), signal)))).over(span(0, 500)).values
    assert (twice != 0).any()


@given(st.lists(pieces, min_size=1, max_size=4), st.integers(-5_000, 5_000))
def test_sums_add_and_products_multiply_what_their_parts_read_and_mark_what_one_of_them_marks(
    parts: list[Shape], first: int
) -> None:
    here = span(first, 50)
    each = [part.over(here.inside(number)) for number, part in enumerate(parts)]
    values = np.stack([part.values for part in each])
    marked = np.logical_or.reduce([part.anomalous for part in each])
    for kind, expected in ((Sum, values.sum(axis=0)), (Product, values.prod(axis=0))):
        found = kind(tuple(parts)).over(here)
        np.testing.assert_allclose(found.values, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(found.anomalous, marked)


# ---- each piece ------------------------------------------------------------------------------------------------------


def test_noise_has_the_distribution_it_is_asked_for() -> None:
    normal = Normal(deviation=0.5, mean=3).over(span(0, 200_000)).values
    assert (normal.mean(), normal.std()) == pytest.approx((3, 0.5), abs=0.005)
    uniform = Uniform(-1, 3).over(span(0, 200_000)).values
    assert (uniform.min(), uniform.max()) == pytest.approx((-1, 3), abs=0.001)
    assert np.histogram(uniform, 4, (-1, 3))[0] == pytest.approx([50_000] * 4, rel=0.02)


@given(st.integers(0, 100), levels, levels)
def test_a_step_is_taken_at_its_moment(at: int, before: float, after: float) -> None:
    values = Step(at, before, after).over(span(0, 100)).values
    assert (values[:at] == before).all()
    assert (values[at:] == after).all()
    exactly = ReadingSpan(0, np.array([float(at)]), (1,))
    assert Step(at, before, after).over(exactly).values.tolist() == [after]


@given(moments, lengths, levels, levels)
def test_a_ramp_begins_and_ends_at_its_levels_and_is_straight_between(
    begin: float, length: float, before: float, after: float
) -> None:
    ramp = Ramp(begin, begin + length, before, after)
    parts = np.array([-1, 0, 0.25, 0.5, 0.75, 1, 2])
    values = ramp.over(ReadingSpan(0, begin + length * parts, (1,))).values
    expected = before + (after - before) * np.clip(parts, 0, 1)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert (values[0], values[-1]) == (before, after)


@given(st.integers(0, 50), st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_pulses_have_their_width_and_their_period(begin: int, seconds: int, pause: int, anomalous: bool) -> None:
    many = Pulse(begin, seconds, seconds + pause, height=2, rest=1, anomalous=anomalous).over(span(0, 500))
    expected = [2 if n >= begin and (n - begin) % (seconds + pause) < seconds else 1 for n in range(500)]
    assert many.values.tolist() == expected
    assert many.anomalous.tolist() == [anomalous and value == 2 for value in expected]
    once = Pulse(begin, seconds).over(span(0, 500))
    assert np.flatnonzero(once.values).tolist() == list(range(begin, begin + seconds))
    assert not once.anomalous.any()


@pytest.mark.parametrize(("every", "shortest", "longest"), [(100, 5, 20), (50, 30, 30), (20, 10, 60), (300, 1, 2)])
def test_random_pulses_take_the_part_of_time_that_they_should(every: float, shortest: float, longest: float) -> None:
    found = RandomPulses(every, shortest, longest, height=3, rest=1).over(span(0, 1_000_000))
    assert set(np.unique(found.values)) == {1, 3}
    np.testing.assert_array_equal(found.values == 3, found.anomalous)
    share = 1 - math.exp(-(shortest + longest) / 2 / every)
    assert found.anomalous.mean() == pytest.approx(share, rel=0.05)


def test_random_pulses_begin_at_the_rate_and_last_the_time_that_they_should() -> None:
    rare = RandomPulses(every_seconds=2000, shortest_seconds=5, longest_seconds=20, anomalous=False)
    found = rare.over(span(0, 2_000_000))
    assert not found.anomalous.any()
    edges = np.diff(found.values, prepend=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    assert len(begins) == pytest.approx(1000, rel=0.1)
    lengths_of_single = np.sort(ends - begins[: len(ends)])[: int(0.98 * len(ends))]
    assert lengths_of_single[0] >= 5
    assert lengths_of_single[-1] <= 21
    assert lengths_of_single.mean() == pytest.approx(12.5, abs=0.6)
    pauses = np.diff(begins)
    assert pauses.std() == pytest.approx(pauses.mean(), rel=0.15)


def test_a_sinusoid_repeats_has_its_amplitude_and_rises_through_zero_where_it_begins() -> None:
    wave = Sinusoid(period_seconds=60, amplitude=2, begin=15)
    quarters = wave.over(ReadingSpan(0, np.array([15.0, 30, 45, 60, 75]), (1,))).values
    np.testing.assert_allclose(quarters, [0, 2, 0, -2, 0], atol=1e-12)
    values = wave.over(span(0, 180)).values
    np.testing.assert_allclose(values[:60], values[120:], atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "arguments", "problem"),
    [
        (Normal, {"deviation": -1}, "greater than or equal to 0"),
        (Uniform, {"low": 2, "high": 1}, "not above"),
        (Ramp, {"begin": 5, "end": 5}, "`end` after `begin`"),
        (Pulse, {"begin": 0, "seconds": 0}, "greater than or equal to 0.001"),
        (Pulse, {"begin": 0, "seconds": 5, "every_seconds": 5}, "above `seconds`"),
        (RandomPulses, {"every_seconds": 9, "shortest_seconds": 3, "longest_seconds": 2}, "not above"),
        (RandomPulses, {"every_seconds": 1, "shortest_seconds": 3, "longest_seconds": 11}, "never end"),
        (Sinusoid, {"period_seconds": 0}, "greater than or equal to 0.001"),
        (Constant, {"value": math.inf}, "finite"),
        (Step, {"at": 0, "hight": 1}, "hight"),
    ],
)
def test_a_piece_that_cannot_be_is_refused(kind: type[Shape], arguments: dict[str, float], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        kind(**arguments)


# ---- a fleet of them -------------------------------------------------------------------------------------------------


def test_a_fleet_reads_its_signals_in_order_and_labels_what_they_mark() -> None:
    begin = NOON.timestamp()
    of_tags: dict[str, Shape] = {
        "flow": Sum((Constant(5), Pulse(begin + 20, 10, anomalous=True))),
        "level": Ramp(begin, begin + 60, 0, 60),
    }
    fleet = ComposedFleet(("press-1", "pump-2"), of_tags, interval_seconds=2)
    readings = list(fleet.readings(NOON, NOON + MINUTE))
    assert [reading.ticks for reading in readings] == sorted(reading.ticks for reading in readings)
    assert len(readings) == 4 * 30
    noon = ticks_of(NOON)
    for reading in readings:
        second = (reading.ticks - noon) / TICKS_PER_SECOND
        assert reading.value == (second if reading.tag == "level" else 6 if 20 <= second < 30 else 5)
    assert [(label.device, label.tag, label.kind) for label in fleet.labels(NOON, NOON + MINUTE)] == [
        ("press-1", "flow", "marked"),
        ("pump-2", "flow", "marked"),
    ]
    for label in fleet.labels(NOON, NOON + MINUTE):
        assert (label.start - NOON, label.end - NOON) == (timedelta(seconds=20), timedelta(seconds=30))


def test_a_signal_without_finite_values_is_refused_before_anything_is_sent() -> None:
    fleet = ComposedFleet(("press-1",), {"load": Product((Constant(1e200), Constant(1e200)))})
    with pytest.raises(InvalidInputError, match="the signal of `load` exceeds the range of numbers"):
        fleet.labels(NOON, NOON + MINUTE)


@settings(max_examples=25)
@given(signals, st.integers(0, 600))
def test_a_fleets_time_may_be_cut_anywhere(signal: Shape, cut: int) -> None:
    fleet = ComposedFleet(("press-1", "pump-2"), {"load": signal})
    middle, end = NOON + timedelta(seconds=cut / 10), NOON + MINUTE
    assert [*fleet.readings(NOON, middle), *fleet.readings(middle, end)] == list(fleet.readings(NOON, end))
