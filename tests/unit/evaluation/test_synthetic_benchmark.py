from __future__ import annotations

import numpy as np
import pytest

from sensorwatch.detectors.factory import detector
from sensorwatch.errors import InvalidInputError
from sensorwatch.evaluation.comparison import compare
from sensorwatch.evaluation.labelled_series import LabelledSeries
from sensorwatch.evaluation.scored_series import score_series
from sensorwatch.evaluation.synthetic import TRAINING_SHARE, synthetic_benchmark, synthetic_series
from sensorwatch.simulation.behaviours import BEHAVIOURS, course
from sensorwatch.simulation.faults import FAULTS, fault_windows, faulty


def test_the_benchmark_has_every_fault_in_every_behaviour() -> None:
    series = synthetic_benchmark()
    assert [each.name for each in series] == [f"{fault} in {kind} 0" for fault in FAULTS for kind in BEHAVIOURS]
    assert (len(FAULTS), len(BEHAVIOURS)) == (10, 6)
    for each in series:
        assert len(each.times) == len(each.values) == len(each.labels)
        assert np.all(np.diff(each.times) > 0)
        assert np.all(np.isfinite(each.values))
        assert each.labels[int(TRAINING_SHARE * len(each.times)) :].any()
        assert each.labels.mean() < 0.25


def test_a_series_follows_from_the_seed_alone() -> None:
    one, same = synthetic_series("bump", "daily", 3, seed=5), synthetic_series("bump", "daily", 3, seed=5)
    np.testing.assert_array_equal(one.values, same.values)
    np.testing.assert_array_equal(one.labels, same.labels)
    other = synthetic_series("bump", "daily", 3, seed=6)
    assert len(other.values) != len(one.values) or np.any(other.values != one.values)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_changes_its_windows_with_the_sensors_own_resolution(kind: str) -> None:
    fault = next(each for each in FAULTS if each == kind)
    rng = np.random.default_rng(11)
    healthy = course("cyclic", np.arange(1, 2001, dtype=np.int64) * 300, rng)
    n = fault_windows(fault, rng)
    values = faulty(fault, healthy, 700, n, rng)
    assert values.shape == (n,)
    assert np.mean(values != healthy.values[700 : 700 + n]) > 0.05
    np.testing.assert_array_equal(values, values.round(healthy.decimals))


@pytest.mark.parametrize("kind", BEHAVIOURS)
def test_a_behaviour_is_noise_around_a_course(kind: str) -> None:
    behaviour = next(each for each in BEHAVIOURS if each == kind)
    healthy = course(behaviour, np.arange(1, 4001, dtype=np.int64) * 300, np.random.default_rng(3))
    assert healthy.values.shape == (4000,)
    assert np.median(np.abs(np.diff(healthy.values))) < 5 * healthy.noise
    assert np.std(healthy.values) > healthy.noise / 2


# ---- detectors on labelled series ------------------------------------------------------------------------------------


def two_series() -> list[LabelledSeries]:
    return [synthetic_series("dropout", "steady", seed=1), synthetic_series("spike", "daily", seed=1)]


def test_scores_are_those_of_the_detector_and_its_calibration_behind_the_training_part() -> None:
    series = two_series()
    scoring = score_series(detector("ocsvm"), series, 0.3)
    each, scored = series[1], scoring.series[1]
    assert scored.first == int(0.3 * len(each.times))
    alone = score_series(detector("ocsvm"), [each], 0.3).series[0]
    np.testing.assert_array_equal(scored.raw, alone.raw)
    np.testing.assert_array_equal(scored.scores, alone.scores)
    assert len(scored.raw) == len(each.times) - scored.first
    np.testing.assert_array_equal(scored.anomalous, scored.scores >= 50)
    inside = (each.values[scored.first :] >= scored.low) & (each.values[scored.first :] <= scored.high)
    np.testing.assert_array_equal(inside, ~scored.anomalous)


def test_the_future_never_changes_a_score() -> None:
    whole = two_series()[0]
    first = int(0.3 * len(whole.times))
    cut = first + (len(whole.times) - first) // 2
    begun = LabelledSeries(whole.name, whole.times[:cut], whole.values[:cut], whole.labels[:cut])
    ours = score_series(detector("ocsvm"), [begun], (first + 0.5) / cut).series[0]
    np.testing.assert_array_equal(
        ours.scores, score_series(detector("ocsvm"), [whole], 0.3).series[0].scores[: cut - first]
    )


def test_figures_of_a_detector_are_means_over_the_series_that_have_them() -> None:
    series = two_series()
    quiet = LabelledSeries("quiet", series[0].times, series[0].values, np.zeros(len(series[0].times), np.bool_))
    figures = compare([*series, quiet], score_series(detector("ocsvm"), [*series, quiet], 0.3), hold=10)
    assert figures.vus_pr == pytest.approx(np.mean([each.vus_pr for each in figures.series[:2]]))
    assert np.isnan(figures.series[2].vus_pr)
    assert figures.alarms.alarms == sum(each.alarms.alarms for each in figures.series)
    assert figures.alarms.days > 0
    assert figures.nab_score <= 100


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_a_training_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(InvalidInputError, match=r"training share must be above 0 and below 1"):
        score_series(detector("ocsvm"), two_series(), share)
