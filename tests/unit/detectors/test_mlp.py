from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, precision_score, recall_score
from threadpoolctl import threadpool_limits

from sensorwatch.config.file import parse_configuration
from sensorwatch.detectors.base import with_checkpoint
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.neural import mlp
from sensorwatch.detectors.neural.mlp import Mlp, network_of
from sensorwatch.detectors.neural.network import network_as_onnx
from sensorwatch.detectors.windowing.lagged_values import lagged, split
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError, SettingsError
from sensorwatch.models.training.promotion import PromotionRules, refusals
from sensorwatch.sensors.labels import LABELLED_ANOMALOUS, LABELLED_NORMAL, UNLABELLED
from sensorwatch.sensors.records import SensorKey
from sensorwatch.simulation.markov import MarkovSignal

SIGNAL = MarkovSignal()
MLP = Mlp()


def processor(first: int = 0, count: int = 1000, seed: int = 1) -> Series:
    """Return the labelled load of one processor."""
    values, anomalous = SIGNAL.emit(first, count, seed=seed, device="cpu-1", tag="load")
    times = 5 * np.arange(first + 1, first + count + 1)
    return Series(
        np.array([0, count]), times, values, np.where(anomalous, LABELLED_ANOMALOUS, LABELLED_NORMAL).astype(np.int8)
    )


def together(*series: Series) -> Series:
    return Series(
        np.concatenate(([0], np.cumsum([len(each.values) for each in series]))),
        np.concatenate([each.times for each in series]),
        np.concatenate([each.values for each in series]),
        np.concatenate([each.labels for each in series if each.labels is not None]),
    )


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def trained() -> pa.StructArray:
    return MLP.fit(processor()).params


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_it_says_that_it_learns_from_labels() -> None:
    assert MLP.learns_from_labels
    assert not detector("ocsvm").learns_from_labels


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (UNLABELLED, "none of its 1000 windows has a label; mlp learns from both kinds"),
        (LABELLED_NORMAL, "of its 1000 windows 0 are labelled anomalous and 1000 normal"),
        (LABELLED_ANOMALOUS, "of its 1000 windows 1000 are labelled anomalous and 0 normal"),
    ],
)
def test_without_labels_of_both_kinds_it_is_not_trained(label: int, reason: str) -> None:
    fitted = MLP.fit(replace(processor(), labels=np.full(1000, label, np.int8)))
    assert fitted.reasons[0] is not None
    assert fitted.reasons[0].startswith(reason)
    assert "sensorwatch labels import" in fitted.reasons[0]
    assert fitted.params.null_count == 1


def test_a_series_without_labels_says_so_too() -> None:
    assert "none of its 1000 windows has a label" in str(MLP.fit(replace(processor(), labels=None)).reasons[0])


def test_windows_without_a_label_teach_nothing() -> None:
    series = processor()
    assert series.labels is not None
    hidden = series.labels.copy()
    hidden[600:] = UNLABELLED
    other = series.values.copy()
    other[600:] = 55.0
    one = MLP.fit(replace(series, labels=hidden)).params.to_pylist()[0]
    two = MLP.fit(replace(series, labels=hidden, values=other)).params.to_pylist()[0]
    assert {**one, "memory": None} == {**two, "memory": None}
    assert one["labelled_windows"] == 600


def test_the_reason_names_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlp, "onnx_problem", lambda: "onnx is not installed")
    assert MLP.fit(processor()).reasons == ("onnx is not installed",)


# ---- hold-out --------------------------------------------------------------------------------------------------------


def test_the_hold_out_figures_are_those_of_a_model_that_has_not_seen_it(trained: pa.StructArray) -> None:
    series = processor()
    stored = trained.to_pylist()[0]
    first = series.kept(np.arange(1000) < 800)
    alone = MLP.fit(first).params
    assert series.labels is not None
    expected = series.labels[802:] == LABELLED_ANOMALOUS
    found = MLP.score(alone, series.kept(np.arange(1000) >= 800))[2:] > 0
    assert (stored["holdout_windows"], stored["holdout_anomalies"]) == (198, int(expected.sum()))
    assert stored["holdout_precision"] == pytest.approx(precision_score(expected, found))
    assert stored["holdout_recall"] == pytest.approx(recall_score(expected, found))
    assert stored["holdout_f1"] == pytest.approx(f1_score(expected, found))


@settings(max_examples=5, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_the_hold_out_has_no_part_in_what_judges_it(shift: float, factor: float) -> None:
    series = processor(count=200)
    assert series.labels is not None
    anomalous, places = series.labels == LABELLED_ANOMALOUS, split(np.arange(200), 3, 0.2)
    changed = series.values.copy()
    changed[160:] = shift + factor * changed[160:]
    known, disturbed = (
        mlp._teach(lagged(replace(series, values=values), 3)[places.train], anomalous[places.train], (16, 16))
        for values in (series.values, changed)
    )
    assert (known.mean, known.scale, known.low, known.high) == disturbed[:4]
    np.testing.assert_array_equal(known.weights, disturbed.weights)


def test_standardisation_is_that_of_the_training_values(trained: pa.StructArray) -> None:
    stored, values = trained.to_pylist()[0], processor().values
    assert stored["mean"] == pytest.approx(values.mean())
    assert stored["scale"] == pytest.approx(values.std())
    assert stored["width"] == 3


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_a_window_at_a_time_scores_as_all_at_once(trained: pa.StructArray) -> None:
    later = processor(first=1000, count=40)
    whole = MLP.score(trained, later)
    params, scores = trained, []
    for i in range(40):
        one = later.kept(np.arange(40) == i)
        raw, checkpoint, _ = MLP.advance(params, one)
        assert checkpoint is not None
        scores.append(raw[0])
        params = with_checkpoint(params, checkpoint)
    np.testing.assert_array_equal(scores, whole)


def test_it_continues_from_the_end_of_its_training(trained: pa.StructArray) -> None:
    whole = MLP.score(trained, replace(processor(count=1040), times=5 * np.arange(1, 1041)))
    np.testing.assert_array_equal(MLP.score(trained, processor(first=1000, count=40)), whole[1000:])


def test_sensors_of_different_shapes_are_scored_side_by_side(trained: pa.StructArray) -> None:
    wide = Mlp('{"hidden":[4],"width":5}').fit(processor(seed=2)).params
    series = together(processor(first=1000, count=30), processor(first=1000, count=30, seed=2))
    both = MLP.score(pa.concat_arrays([trained, wide]), series)
    np.testing.assert_array_equal(both[:30], MLP.score(trained, series.part(0, 1)))
    np.testing.assert_array_equal(both[30:], MLP.score(wide, series.part(1, 2)))


def test_values_beyond_what_was_taught_are_anomalous_whatever_the_network_says(trained: pa.StructArray) -> None:
    stored = trained.to_pylist()[0]
    low, high = stored["low"], stored["high"]
    values = np.array([low - 1e-3, low - 1.0, 0.3, high + 1e-3, np.inf, np.nan, 0.3])
    raw = MLP.score(trained, Series(np.array([0, 7]), 10**6 + 5 * np.arange(7), values))
    assert (raw[[0, 1, 3]] > 20).all()
    assert raw[0] < raw[1] < raw[4] == np.inf
    assert np.isnan(raw[5])
    assert raw[2] < 0


def test_an_exported_model_gives_the_same_log_odds_and_two_probabilities(trained: pa.StructArray) -> None:
    stored = trained.to_pylist()[0]
    content = network_as_onnx(network_of(stored), stored["mean"], stored["scale"], stored["low"], stored["high"])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    later = processor(first=1000, count=200)
    rows = lagged(later, 3)
    odds, probabilities = session.run(["log_odds", "probabilities"], {"values": rows})
    scores = MLP.score(trained, later)
    within = (np.abs(scores) < 20)[2:]
    assert within.mean() > 0.9
    np.testing.assert_allclose(odds[2:, 0][within], scores[2:][within], atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-odds[:, 0])))


@pytest.mark.parametrize("seed", [11, 12])
def test_it_is_as_good_as_boosted_trees_that_know_ten_times_the_data(seed: int) -> None:
    train, test, much = (processor(*rows, seed) for rows in ((0, 20_000), (10**6, 20_000), (10**7, 200_000)))
    trees = HistGradientBoostingClassifier(random_state=0).fit(lagged(much, 3), much.labels)
    expected = test.labels
    raw = MLP.score(MLP.fit(train).params, test)
    assert f1_score(expected, raw > 0) >= f1_score(expected, trees.predict(lagged(test, 3))) - 0.01


# ---- the gate --------------------------------------------------------------------------------------------------------


def refused(series: Series) -> dict[int, str]:
    params = MLP.fit(series).params
    return refusals(MLP, params, series, MLP.score(params, series), PromotionRules())


def test_a_model_that_finds_labelled_anomalies_is_promoted() -> None:
    assert refused(processor()) == {}


def test_labelled_anomalies_do_not_count_as_flagged() -> None:
    series = processor()
    busy = np.arange(1000) >= 860
    values = np.where(busy, 0.9, 0.3) + np.random.default_rng(0).normal(0, 0.02, 1000)
    busy[300:400] = True
    values[300:400] = 0.9
    labels = np.where(busy, LABELLED_ANOMALOUS, LABELLED_NORMAL).astype(np.int8)
    assert refused(replace(series, values=values, labels=labels)) == {}
    unlabelled = replace(series, values=values, labels=None)
    params = MLP.fit(replace(unlabelled, labels=labels)).params
    found = refusals(MLP, params, unlabelled, MLP.score(params, unlabelled), PromotionRules(max_flagged_share=0.2))
    assert "it flags 24 % of the windows" in found[0]


def test_a_model_that_finds_none_of_the_labelled_anomalies_is_refused() -> None:
    series = processor()
    noise = np.random.default_rng(3)
    labels = np.where(noise.random(1000) < 0.05, LABELLED_ANOMALOUS, LABELLED_NORMAL).astype(np.int8)
    found = refused(replace(series, values=noise.normal(0.3, 0.1, 1000), labels=labels))
    assert "fitted without its last 200 windows, it flags none of the" in found[0]


# ---- parameters ------------------------------------------------------------------------------------------------------


def test_a_rule_gives_it_parameters() -> None:
    rules = "detectors: [{device: 'cpu-*', detector: mlp, parameters: {width: 5, hidden: [8]}}]"
    choice = parse_configuration(rules, "test").choice(SensorKey("cpu-1", "load"), "ocsvm")
    assert choice[:2] == ("mlp", '{"hidden":[8],"width":5}')
    model = detector(*choice[:2]).fit(processor(count=300)).params.to_pylist()[0]
    assert (model["width"], model["hidden"], len(model["weights"])) == (5, [8], 5 * 8 + 8 + 8 + 1)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("{width: 0}", "parameters: width: Input should be greater than or equal to 1; got `0`"),
        ("{hidden: []}", "parameters: hidden: Tuple should have at least 1 item"),
        ("{depth: 3}", "parameters: depth: unknown key `depth`"),
    ],
)
def test_wrong_parameters_are_refused(parameters: str, problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_configuration(f"detectors: [{{detector: mlp, parameters: {parameters}}}]", "test")
    assert problem in str(raised.value)


def test_an_invalid_stored_specification_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="mlp"):
        Mlp('{"width":"wide"}')
