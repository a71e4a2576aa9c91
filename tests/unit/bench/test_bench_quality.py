"""The benchmark of quality prints what the evaluation says."""

from __future__ import annotations

import numpy as np
import pytest

from bench import quality
from sensorwatch.detectors.factory import detectors
from sensorwatch.evaluation.ranking import vus_pr
from sensorwatch.evaluation.scored_series import score_series
from sensorwatch.evaluation.synthetic import TRAINING_SHARE, synthetic_benchmark


def test_figures_are_means_over_the_series_of_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    quality.main(["range", "--repeats", "1", "--seed", "3"])
    shown = capsys.readouterr().out
    series = synthetic_benchmark(3, 1)
    scored = score_series(detectors()["range"], series, TRAINING_SHARE).series
    found = [vus_pr(each.labels[part.first :], part.raw) for each, part in zip(series, scored, strict=True)]
    assert f"{np.mean(found):.3f}" in shown
    in_daily = [value for value, each in zip(found, series, strict=True) if " in daily " in each.name]
    spikes = [value for value, each in zip(found, series, strict=True) if each.name.startswith("spike ")]
    for mean in (np.mean(in_daily), np.mean(spikes)):
        assert f"{mean:.3f}" in shown


def test_an_unknown_detector_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quality.main(["nonsense"])
    assert "no such detector: nonsense; choose from" in " ".join(capsys.readouterr().err.split())
