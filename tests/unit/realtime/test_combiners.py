"""Properties of the combiners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.config.serving import ServingRule
from sensorwatch.realtime.combiners import NO_WINNER, Answers, combiners

Answer = tuple[float | None, float, float]
"""Score (None: did not arrive), seconds, weight."""

scores = st.none() | st.floats(0, 100)
answer_lists = st.lists(st.tuples(scores, st.floats(0, 1), st.floats(0.25, 8)), min_size=1, max_size=6)


def decide(combiner: str, answers: Sequence[Answer]) -> tuple[float, float, float] | None:
    """Return the answer that counts."""
    table = np.array([[np.nan if score is None else score] for score, _, _ in answers])
    seconds = np.array([[each] for _, each, _ in answers])
    weights = np.array([each for _, _, each in answers])
    (winner,) = combiners()[combiner].winners(Answers(table, seconds, weights)).tolist()
    if winner == NO_WINNER:
        return None
    score, took, weight = answers[winner]
    assert score is not None
    return score, took, weight


@pytest.mark.parametrize("combiner", combiners())
@given(answers=answer_lists, data=st.data())
def test_votes_are_order_free(combiner: str, answers: list[Answer], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(answers))
    first, second = decide(combiner, answers), decide(combiner, shuffled)
    if first is None or second is None:
        assert first is second
    elif combiner == "first":
        assert first[1] == second[1]
    elif combiner == "confidence":
        assert abs(first[0] - 50) == abs(second[0] - 50)
    else:
        assert (first[0] >= 50) == (second[0] >= 50)
        assert abs(first[0] - 50) == abs(second[0] - 50)


@pytest.mark.parametrize("combiner", combiners())
@given(answers=answer_lists, place=st.integers(0, 6), weight=st.floats(0.25, 8))
def test_a_model_that_never_answers_changes_nothing(
    combiner: str, answers: list[Answer], place: int, weight: float
) -> None:
    with_it = [*answers[:place], (None, np.inf, weight), *answers[place:]]
    assert decide(combiner, with_it) == decide(combiner, answers)


@given(answers=answer_lists)
def test_the_majority_is_the_mean_of_the_answers_that_arrived(answers: list[Answer]) -> None:
    arrived = [score >= 50 for score, _, _ in answers if score is not None]
    winner = decide("majority", answers)
    if not arrived:
        assert winner is None
    else:
        assert winner is not None
        assert (winner[0] >= 50) == (sum(arrived) / len(arrived) >= 0.5)


@given(answers=answer_lists)
def test_equal_weights_make_a_majority(answers: list[Answer]) -> None:
    equal = [(score, took, 2.0) for score, took, _ in answers]
    assert decide("weighted", equal) == decide("majority", equal)


def test_a_heavy_model_outvotes_two_light_ones() -> None:
    answers: list[Answer] = [(90.0, 0.1, 3.0), (10.0, 0.1, 1.0), (20.0, 0.1, 1.0)]
    assert decide("majority", answers) == (10.0, 0.1, 1.0)
    assert decide("weighted", answers) == (90.0, 0.1, 3.0)


def test_half_of_the_votes_are_an_anomaly() -> None:
    assert decide("majority", [(40.0, 0.1, 1.0), (55.0, 0.1, 1.0)]) == (55.0, 0.1, 1.0)


def test_the_first_and_the_surest_need_not_be_the_same() -> None:
    answers: list[Answer] = [(45.0, 0.01, 1.0), (99.0, 0.04, 1.0), (None, 0.001, 1.0)]
    assert decide("first", answers) == (45.0, 0.01, 1.0)
    assert decide("confidence", answers) == (99.0, 0.04, 1.0)


def test_rules_may_name_every_combiner() -> None:
    assert combiners()
    for name in combiners():
        assert ServingRule.model_validate({"decider": name}).decider == name
