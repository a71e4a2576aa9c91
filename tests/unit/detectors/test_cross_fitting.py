"""Scores of training windows by models that were not trained on them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sensorwatch.detectors.base import Detector, Fitted
from sensorwatch.detectors.ensembles.cross_fitting import cross_fit
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series

STEP = 10


class Witness(Detector):
    """A detector that remembers which times it was fitted on, and scores 1 what lies within, else 0."""

    name = "witness"

    def __init__(self, least: int = 1) -> None:
        self._least = least

    def fit(self, series: Series) -> Fitted:
        rows = []
        for first, last in zip(series.offsets[:-1], series.offsets[1:], strict=True):
            times = series.times[first:last]
            enough = len(times) >= self._least
            rows.append({"first": int(times[0]), "last": int(times[-1])} if enough else None)
        return Fitted(
            pa.array(rows, pa.struct([("first", pa.int64()), ("last", pa.int64())])),
            tuple(None if row else "too few" for row in rows),
        )

    def score(self, params: pa.StructArray, series: Series) -> np.ndarray:
        sensor = np.repeat(np.arange(series.n_sensors), series.lengths)
        first, last = (
            np.asarray(params.field(name).to_numpy(zero_copy_only=False), np.float64)[sensor]
            for name in ("first", "last")
        )
        known = np.repeat(params.is_valid().to_numpy(zero_copy_only=False), series.lengths)
        return np.where(known, ((first <= series.times) & (series.times <= last)).astype(np.float64), np.nan)


def series_of(*lengths: int) -> Series:
    times = [STEP * np.arange(1, n + 1, dtype=np.int64) for n in lengths]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Series(offsets, np.concatenate(times), np.zeros(sum(lengths)))


def test_the_first_and_the_last_part_are_new_to_the_models_that_score_them() -> None:
    series, witness = series_of(500, 60), Witness()
    found = cross_fit({"witness": witness}, {"witness": witness.fit(series)}, series)
    raw = found.raw["witness"]
    for first, n in ((0, 500), (500, 60)):
        seen = raw[first : first + n]
        assert not seen[: int(0.4 * n)].any()
        assert seen[int(0.4 * n) : int(0.6 * n)].all()
        assert not seen[int(0.6 * n) :].any()
    assert found.holdout.offsets.tolist() == [0, 200, 224]
    np.testing.assert_array_equal(found.holdout.times, found.scored.times[found.is_holdout])
    np.testing.assert_array_equal(found.scored.times, series.times)
    assert not witness.score(found.params["witness"], found.holdout).any()


def test_a_long_series_is_scored_by_its_own_models() -> None:
    series, witness = series_of(5000, 200), Witness()
    found = cross_fit({"witness": witness}, {"witness": witness.fit(series)}, series)
    assert found.scored.lengths.tolist() == [4000, 200]
    np.testing.assert_array_equal(found.scored.times[:4000], series.times[1000:5000])
    assert found.raw["witness"][:4000].all()
    assert found.holdout.lengths.tolist() == [1600, 80]
    assert not found.raw["witness"][4000:].all()


def test_a_member_that_a_part_is_too_short_for_keeps_its_training_scores() -> None:
    series, witness = series_of(100, 400), Witness(least=90)
    found = cross_fit({"witness": witness}, {"witness": witness.fit(series)}, series)
    assert found.raw["witness"][:100].all()
    assert not found.raw["witness"][100:].all()


@pytest.mark.parametrize("name", ["range", "ewma", "pca_maha"])
def test_cross_fitted_scores_do_not_depend_on_other_sensors(name: str) -> None:
    random = np.random.default_rng(2)
    many = series_of(300, 4100, 500)
    many = Series(many.offsets, many.times, random.normal(size=len(many.values)))
    chosen = detector(name)
    together = cross_fit({name: chosen}, {name: chosen.fit(many)}, many)
    offsets = together.scored.offsets
    for i in range(3):
        one = many.part(i, i + 1)
        alone = cross_fit({name: chosen}, {name: chosen.fit(one)}, one).raw[name]
        np.testing.assert_allclose(together.raw[name][offsets[i] : offsets[i + 1]], alone, rtol=1e-9)
