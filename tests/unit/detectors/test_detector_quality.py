"""Quality of all detectors on the synthetic benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sensorwatch.detectors.factory import detectors
from sensorwatch.evaluation.labelled_series import LabelledSeries
from sensorwatch.evaluation.ranking import vus_pr
from sensorwatch.evaluation.scored_series import score_series, training_windows
from sensorwatch.evaluation.synthetic import TRAINING_SHARE, synthetic_benchmark

ORIGINAL = "ocsvm"
# `sklearn` without parameters is the model of `ocsvm_sklearn`.
SINGLE = sorted(detectors().keys() - {"auto", "ensemble", "sklearn"})
needs_auto = pytest.mark.skipif("auto" not in detectors(), reason="there is no detector `auto` to hold to this")


@pytest.fixture(scope="module")
def series() -> list[LabelledSeries]:
    return synthetic_benchmark()


def mean_vus_pr(name: str, series: Sequence[LabelledSeries]) -> float:
    scored = score_series(detectors()[name], series, TRAINING_SHARE).series
    return float(
        np.mean([vus_pr(each.labels[part.first :], part.raw) for each, part in zip(series, scored, strict=True)])
    )


def test_the_benchmark_is_as_hard_as_public_series_for_the_original_and_for_random_scores(
    series: list[LabelledSeries],
) -> None:
    assert mean_vus_pr(ORIGINAL, series) == pytest.approx(0.26, abs=0.03)
    rng = np.random.default_rng(5)
    behind = [each.labels[training_windows(len(each.labels), TRAINING_SHARE) :] for each in series]
    assert np.mean([vus_pr(labels, rng.random(len(labels))) for labels in behind]) == pytest.approx(0.14, abs=0.03)


def test_context_tells_more_than_the_range_of_values(series: list[LabelledSeries]) -> None:
    some = series[::5]
    original = mean_vus_pr(ORIGINAL, some)
    assert mean_vus_pr("pca_maha", some) > 1.3 * original
    assert mean_vus_pr("range", some) == pytest.approx(original, abs=0.01)


@needs_auto
def test_the_automatic_choice_beats_the_original_on_every_fifth_series(series: list[LabelledSeries]) -> None:
    some = series[::5]
    assert mean_vus_pr("auto", some) > 1.4 * mean_vus_pr(ORIGINAL, some)


@needs_auto
@pytest.mark.slow
def test_the_automatic_choice_beats_every_single_detector_and_the_original_by_far() -> None:
    series = synthetic_benchmark(repeats=2)
    means = {name: mean_vus_pr(name, series) for name in SINGLE}
    ours = mean_vus_pr("auto", series)
    assert ours > max(means.values()), means
    assert ours >= 2 * means[ORIGINAL], means
