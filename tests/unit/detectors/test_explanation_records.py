"""Explanations of an anomalous window: in words, as JSON, and through the store."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.explanation_text import MOST_TEXT, explanation_text
from sensorwatch.alerts.records import Anomaly
from sensorwatch.detectors.explanation import (
    MAX_JSON,
    Explanation,
    MemberScore,
    NearestPattern,
    explanation_json,
    parse_explanation,
)
from sensorwatch.detectors.factory import detectors
from sensorwatch.errors import InvalidInputError

FOUND = Anomaly(0, 60, 25.31, 92.0, "high", 19.42, 20.87, "v1", expected_value=20.11)
PATTERN = NearestPattern("kmeans", 96, 5, 19.0, 21.0, (0, 500, 1000))
AR, SHIFT, KMEANS = MemberScore("ar_season", 93, 0.5), MemberScore("shift", 71, 0.3), MemberScore("kmeans", 55, 0.1)
QUIET = MemberScore("ewma", 12, 0.1)
NUMBER = re.compile(r"-?\d[\d.]*(?:e[+-]\d+)?")


def text(*members: MemberScore, pattern: NearestPattern | None = None, anomaly: Anomaly = FOUND) -> str:
    return explanation_text(replace(anomaly, explanation=Explanation("auto", members, pattern)))


def test_it_says_what_was_expected_who_found_it_and_what_is_unusual_about_the_past() -> None:
    assert text(AR, SHIFT, KMEANS, QUIET, pattern=PATTERN) == (
        "25.3 where 20.1 (19.4 to 20.9) was expected; the value departs from its forecast, the level has shifted and "
        "the last 96 windows are unlike any usual pattern."
    )


def test_a_usual_pattern_is_no_reason() -> None:
    assert "pattern" not in text(AR, QUIET, pattern=PATTERN)
    assert "pattern" not in text(AR, MemberScore("kmeans", 49, 0.5), pattern=PATTERN)


def test_a_detector_alone_gives_one_sign() -> None:
    only = explanation_text(replace(FOUND, explanation=Explanation("ewma", (replace(QUIET, score=80, weight=1.0),))))
    assert only == "25.3 where 20.1 (19.4 to 20.9) was expected; the value is far from its recent average."


def test_only_the_three_strongest_signs_are_named_and_each_once() -> None:
    names = ("pca_maha", "kmeans", "shift", "range", "ocsvm", "ewma")
    members = [MemberScore(name, 90 - i, 0.2) for i, name in enumerate(names)]
    assert text(*members).endswith(
        "; the recent values form an unusual pattern, the level has shifted and the value is outside its usual range."
    )


def test_models_of_a_user_have_a_sign_too() -> None:
    assert text(MemberScore("sklearn", 80, 1.0)).endswith("; the value is unlike normal data.")


def test_weak_signs_that_count_only_together_are_described_as_such() -> None:
    assert "only several weak signs together show it" in text(replace(AR, score=49), QUIET)


@given(st.lists(st.sampled_from(sorted(detectors())), min_size=1, max_size=9), st.integers(0, 100))
def test_the_text_names_no_internals(names: list[str], score: int) -> None:
    told = text(*(MemberScore(name, score, 0.1) for name in names), pattern=PATTERN)
    assert "_" not in told
    assert not re.search(r"score|member|ocsvm|ewma|kmeans|mlp|sklearn", told)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "25.3 where 20.1 (19.4 to 20.9) was expected."),
        ({"expected_value": None}, "25.3 where 19.4 to 20.9 was expected."),
        ({"expected_low": None, "expected_value": None}, "25.3 where at most 20.9 was expected."),
        ({"expected_high": None, "value": 1.0}, "1 where 20 (at least 19) was expected."),
        ({"value": 20.0}, "20.0, which is within the expected 19.4 to 20.9."),
        ({"value": 20.874}, "20.874 where 20.110 (19.420 to 20.870) was expected."),
        ({"value": 1e12}, "1e+12 where 20 (19 to 21) was expected."),
        ({"value": math.inf}, "inf where 20.110 (19.420 to 20.870) was expected."),
        ({"expected_low": None, "expected_high": None}, "25.3 where 20.1 was expected."),
        ({"expected_low": None, "expected_high": None, "expected_value": None}, ""),
        (
            {"value": -0.0, "expected_value": None, "expected_low": 1e-9, "expected_high": 2e-9},
            "0 where 1e-09 to 2e-09 was expected.",
        ),
        (
            {"value": 2.5e-7, "expected_value": 2e-7, "expected_low": 1.9e-7, "expected_high": 2.1e-7},
            "2.5e-07 where 2e-07 (1.9e-07 to 2.1e-07) was expected.",
        ),
        (
            {"value": -0.0, "expected_low": -0.5, "expected_value": None, "expected_high": -0.3},
            "0.00 where -0.50 to -0.30 was expected.",
        ),
    ],
)
def test_numbers_have_the_digits_that_matter(changed: dict[str, float | None], expected: str) -> None:
    assert explanation_text(replace(FOUND, **changed)) == expected  # type: ignore[arg-type]


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(value=numbers, ends=st.tuples(numbers, numbers).map(sorted), share=st.floats(0, 1))
def test_values_outside_the_range_are_never_rounded_into_it(value: float, ends: list[float], share: float) -> None:
    low, high = ends
    middle = min(max(low + share * (high - low), low), high)
    told = explanation_text(replace(FOUND, value=value, expected_low=low, expected_high=high, expected_value=middle))
    assert len(told) <= MOST_TEXT
    assert ("within" in told) == (low <= value <= high)
    assert len(NUMBER.findall(told)) == (3 if "within" in told else 4)


names = st.sampled_from(["ar_season", "ewma", "kmeans", "pca_maha", "shift", "range", "variation", "ocsvm_sklearn"])
members = st.builds(MemberScore, names, st.integers(0, 100), st.floats(0, 1))
patterns = st.builds(
    NearestPattern,
    names,
    st.integers(2, 500),
    st.integers(1, 86_400),
    numbers,
    numbers,
    st.lists(st.integers(0, 1000), min_size=2, max_size=96).map(tuple),
)
explanations = st.builds(Explanation, st.just("auto"), st.lists(members, max_size=9).map(tuple), st.none() | patterns)


@given(explanations)
def test_json_gives_back_what_was_put_in(explanation: Explanation) -> None:
    packed = explanation_json(explanation)
    assert parse_explanation(packed) == explanation
    assert len(packed) <= MAX_JSON
    assert len(explanation_text(replace(FOUND, explanation=explanation))) <= MOST_TEXT


@given(patterns)
def test_a_pattern_keeps_its_bounds_and_ends_at_its_window(pattern: NearestPattern) -> None:
    values, ends = pattern.values(), pattern.ends(1_000_000)
    assert all(map(math.isfinite, values))
    assert ends[-1] == 1_000_000
    assert all(after - before == pattern.step_seconds for before, after in pairwise(ends))
    low, high = sorted((pattern.low, pattern.high))
    slack = 1e-9 * max(abs(low), abs(high), 1e-9)
    assert all(low - slack <= each <= high + slack for each in values)


@pytest.mark.parametrize("wrong", ["", "null", "[]", '{"detector":"auto"}', '{"detector":1,"members":[]}'])
def test_something_else_is_refused_with_what_it_is(wrong: str) -> None:
    with pytest.raises(InvalidInputError, match="expected an explanation as JSON, got"):
        parse_explanation(wrong)


def test_text_longer_than_any_explanation_is_not_read() -> None:
    long = explanation_json(Explanation("x" * MAX_JSON, ()))
    with pytest.raises(InvalidInputError, match="at most 2000 characters, got"):
        parse_explanation(long)
