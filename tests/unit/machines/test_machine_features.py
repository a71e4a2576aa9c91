"""Features of machines, compared with pandas, and independent of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_fleets import FIRST, START, fleet, reference_features, shuffled_after

from sensorwatch.machines.features import HISTORY_SECONDS, FeatureSet, feature_names, make_features
from sensorwatch.machines.fleet import HALF_DAY_SECONDS, Events, Fleet, Telemetry
from sensorwatch.machines.generator import generate_fleet
from sensorwatch.machines.labels import first_failure, last_labelled_sample, seconds_to_failure
from sensorwatch.machines.rolling import half_day_moments, merged, standard_deviation

HORIZON = int(3.5 * 86_400)
MODELS = sorted(set(fleet().machines.model))


def with_gaps(whole: Fleet, share: float, seed: int) -> Fleet:
    """Most readings of some days are lost."""
    random = np.random.default_rng(seed)
    telemetry = whole.telemetry
    poor = random.random(1 << 16) < share
    lost = poor[(telemetry.hour // 30 + telemetry.machine * 97) % (1 << 16)] & (
        random.random(len(telemetry.hour)) < 0.97
    )
    return replace(whole, telemetry=telemetry.rows(~lost))


def test_features_are_those_of_a_straightforward_calculation() -> None:
    whole = with_gaps(fleet(), 0.2, 1)
    table = make_features(whole, MODELS, "original", FIRST, FIRST + 60)
    expected = reference_features(whole, FIRST, FIRST + 60)
    assert table.counts.silent > 0
    assert table.counts.imputed_windows > 0
    assert table.machine.tolist() == expected["machine"].tolist()
    assert table.sample.tolist() == expected["sample"].tolist()
    found = pd.DataFrame(table.values, columns=list(table.names))
    pd.testing.assert_frame_equal(found, expected[list(table.names)].astype(float), rtol=1e-9, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(5, 150), seed=st.integers(0, 1000), feature_set=st.sampled_from(["original", "extended"]))
def test_the_future_changes_no_feature_of_the_past(cut: int, seed: int, feature_set: FeatureSet) -> None:
    now = make_features(fleet(), MODELS, feature_set, FIRST, FIRST + cut)
    other = make_features(shuffled_after(fleet(), FIRST + cut, seed), MODELS, feature_set, FIRST, FIRST + cut)
    unknown = make_features(fleet().until((FIRST + cut) * HALF_DAY_SECONDS), MODELS, feature_set, FIRST, FIRST + cut)
    np.testing.assert_array_equal(now.values, other.values)
    np.testing.assert_array_equal(now.values, unknown.values)
    changed = make_features(shuffled_after(fleet(), FIRST + cut, seed), MODELS, feature_set, FIRST, FIRST + cut + 4)
    assert not np.array_equal(
        changed.values, make_features(fleet(), MODELS, feature_set, FIRST, FIRST + cut + 4).values
    )


def test_a_part_of_the_samples_has_the_features_of_the_whole() -> None:
    late = FIRST + 150
    whole = make_features(fleet(), MODELS, "extended", FIRST, FIRST + 160)
    telemetry = fleet().telemetry
    recent = telemetry.hour * 3600 > late * HALF_DAY_SECONDS - HISTORY_SECONDS
    part = replace(fleet(), telemetry=telemetry.rows(recent))
    np.testing.assert_allclose(
        make_features(part, MODELS, "extended", late, FIRST + 160).values,
        whole.values[whole.sample >= late],
        rtol=1e-12,
    )


def test_deviations_keep_their_digits_at_a_level_far_above_the_noise() -> None:
    random = np.random.default_rng(5)
    values = 1e9 + random.normal(0, 1e-3, (240, 4))
    telemetry = Telemetry(np.zeros(240, np.int32), np.arange(1, 241, dtype=np.int64), values)
    deviation = standard_deviation(merged(half_day_moments(telemetry, 1, 1, 20), 3))[0, -1]
    np.testing.assert_allclose(deviation, values[-36:].std(axis=0, ddof=1), rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(half_days=st.integers(1, 25), skip=st.integers(0, 30))
def test_windows_of_any_width_are_the_merged_half_days(half_days: int, skip: int) -> None:
    telemetry = fleet().telemetry
    window = merged(half_day_moments(telemetry, 6, FIRST, FIRST + 20), half_days, skip)
    last = (FIRST + 20 - skip) * 12
    lowest = max(last - 12 * half_days, (FIRST - 1) * 12)
    inside = (telemetry.machine == 2) & (telemetry.hour <= last) & (telemetry.hour > lowest)
    assert window.readings[2, -1] == inside.sum()
    if inside.any():
        np.testing.assert_allclose(window.mean[2, -1], telemetry.values[inside].mean(axis=0), rtol=1e-12)


def test_a_machine_of_an_unknown_model_has_no_model() -> None:
    table = make_features(fleet(), ["another"], "original", FIRST, FIRST + 4)
    assert not table.values[:, table.names.index("model=another")].any()


def test_components_that_were_never_replaced_are_as_old_as_their_machine() -> None:
    none = Events(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int8))
    table = make_features(replace(fleet(), replacements=none), MODELS, "original", FIRST + 4, FIRST + 4)
    ages = fleet().machines.age[table.machine] * 365.25
    np.testing.assert_allclose(table.values[:, table.names.index("comp3_days")], ages)
    assert table.counts.never_replaced == 4 * len(table.machine)


def failures(*found: tuple[int, float, int]) -> Events:
    rows = sorted(found)
    return Events(
        np.array([row[0] for row in rows], np.int32),
        np.array([START + int(row[1] * HALF_DAY_SECONDS) for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int8),
    )


def test_the_seven_half_days_before_a_failure_carry_its_label() -> None:
    to_failure = seconds_to_failure(failures((0, 10, 2)), 1, FIRST, FIRST + 20)
    classes = [int(first_failure(to_failure[:, sample], HORIZON)[0]) for sample in range(21)]
    assert classes == [0] * 3 + [3] * 7 + [0] * 11


def test_a_failure_between_two_samples_is_known_to_neither_too_early() -> None:
    to_failure = seconds_to_failure(failures((0, 9.5, 1)), 1, FIRST, FIRST + 20)
    classes = [int(first_failure(to_failure[:, sample], HORIZON)[0]) for sample in range(21)]
    assert classes == [0] * 3 + [2] * 7 + [0] * 11


def test_of_several_failures_the_first_is_the_class_and_all_are_known() -> None:
    to_failure = seconds_to_failure(failures((0, 10, 3), (0, 8, 1), (0, 8, 0)), 1, FIRST, FIRST + 20)
    assert int(first_failure(to_failure[:, 7], HORIZON)[0]) == 1
    assert (to_failure[0, 7] <= HORIZON).tolist() == [True, True, False, True]
    assert int(first_failure(to_failure[:, 8], HORIZON)[0]) == 4


def test_failures_beyond_the_last_sample_are_labels_too() -> None:
    to_failure = seconds_to_failure(failures((0, 14, 0), (0, 12, 0)), 1, FIRST, FIRST + 10)
    assert to_failure[0, 10, 0] == 2 * HALF_DAY_SECONDS


def test_samples_whose_horizon_is_not_over_have_no_label_yet() -> None:
    assert last_labelled_sample(START + 10 * HALF_DAY_SECONDS, HORIZON) == FIRST + 3


@pytest.mark.parametrize("feature_set", ["original", "extended"])
def test_every_column_is_finite_and_named_once(feature_set: FeatureSet) -> None:
    table = make_features(generate_fleet(3, 20, START, 1), MODELS, feature_set, FIRST + 1, FIRST + 40)
    assert np.isfinite(table.values).all()
    assert table.values.shape[1] == len(set(table.names)) == len(feature_names(MODELS, feature_set))
