"""The autoscale formula language, evaluated without a pool."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from fakes.clock import FakeSeconds
from hypothesis import given
from hypothesis import strategies as st

from local.batch.autoscale import FormulaError, parse
from local.batch.samples import History
from sensorwatch.scheduling.batch_client import autoscale_formula

_NOW = datetime(2026, 11, 20, 10, 15, 42, tzinfo=UTC)


def _history(*values: float, every_seconds: float = 30.0) -> History:
    clock = FakeSeconds()
    history = History(clock, 1.0, values[0])
    for value in values[1:]:
        clock.seconds += every_seconds
        history.record(value)
    return history


def _target(formula: str, pending: History | None = None) -> object:
    samples = {"$PendingTasks": pending or _history(0.0)}
    values = {"$CurrentDedicatedNodes": 2.0, "$TargetDedicatedNodes": 2.0}
    return parse(formula).evaluate(samples=samples, values=values, now=_NOW)["$TargetDedicatedNodes"]


def _value(expression: str) -> object:
    return parse(f"x = {expression};").evaluate(samples={}, values={}, now=_NOW)["x"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3 - 4 / 8", 6.5),
        ("(1 + 2) * -3", -9.0),
        ("1 < 2 && !(3 >= 4) || 0", 1.0),
        ("1 == 2 ? 10 : 2 != 3 ? 20 : 30", 20.0),
        ("min(4, max(1, 2, 3), avg(8, 10))", 3.0),
        ("sum(1, 2, 3) + ceil(1.2) + floor(1.8) + round(2.5) + len(7, 7)", 14.0),
        ("TimeInterval_Minute * 5 == TimeInterval_Second * 300", 1.0),
        ("TimeInterval_Hour / TimeInterval_Minute", 60.0),
        ("time().hour * 100 + time().minute", 1015.0),
        ("time().weekday", 5.0),
        ('time("2026-11-20T10:15:42Z") == time()', 1.0),
        ("1 // the rest is a comment\n + 1", 2.0),
        ("1e2 + .5", 100.5),
    ],
)
def test_expressions_evaluate_as_on_azure_batch(expression: str, expected: float) -> None:
    assert _value(expression) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "unexpected end"),
        ("x = ;", "unexpected `;` at line 1, column 5; expected `(` or name"),
        ("x = 1 y = 2;", "unexpected `y` at line 1, column 7"),
        ("x = (1;", "unexpected `;` at line 1, column 7; expected `)`"),
        ("x = 1 # 2;", "unexpected `#`"),
        ("$PendingTasks = 3;", "can't be assigned"),
        ("x = " + "(" * 60 + "1" + ")" * 60 + ";", "nested"),
        ("x = " + "1 + " * 3000 + "1;", "characters"),
    ],
)
def test_wrong_syntax_is_refused_with_the_place(formula: str, reason: str) -> None:
    with pytest.raises(FormulaError, match=reason.replace("(", r"\(").replace(")", r"\)")):
        parse(formula)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "divided by zero"),
        ("nothing + 1", "unknown variable `nothing`"),
        ("__import__(1)", "unknown function `__import__`"),
        ("time() + time()", "can't be calculated"),
        ("avg()", "avg"),
        ("max(time())", "expected a number"),
        ("$CPUPercent.GetSample(1)", "has no samples"),
        ("(5).real", "has no part"),
    ],
)
def test_an_expression_without_a_value_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(FormulaError, match=reason):
        _value(expression)


def test_samples_are_taken_every_thirty_seconds_newest_first() -> None:
    history = _history(1.0, 5.0, 3.0)
    assert history.latest(2) == [3.0, 5.0]
    assert history.within(timedelta(minutes=5)) == [3.0, 5.0, 1.0]
    assert history.percent(timedelta(minutes=5)) == pytest.approx(30.0)
    assert history.percent(timedelta(minutes=1)) == 100.0


def test_a_hurried_clock_shrinks_the_sample_period_too() -> None:
    clock = FakeSeconds()
    history = History(clock, 2.0 / 300.0, 4.0)
    clock.seconds = 2.0
    assert history.percent(timedelta(minutes=5)) == 100.0


@pytest.mark.parametrize(("pending", "nodes"), [(0, 0), (1, 1), (4, 1), (5, 2), (80, 20), (81, 20), (100_000, 20)])
def test_the_pools_formula_gives_a_node_per_four_pending_tasks_up_to_the_limit(pending: int, nodes: int) -> None:
    assert _target(autoscale_formula(max_nodes=20, slots_per_node=4), _history(float(pending))) == nodes


def test_the_pools_formula_keeps_nodes_while_the_five_minute_average_is_above_zero() -> None:
    formula = autoscale_formula(max_nodes=20, slots_per_node=4)
    assert _target(formula, _history(*[8.0] * 9, 0.0)) == 2
    assert _target(formula, _history(8.0, *[0.0] * 12)) == 0


def test_the_pools_formula_lets_tasks_finish_before_nodes_leave() -> None:
    formula = parse(autoscale_formula(max_nodes=2, slots_per_node=1))
    results = formula.evaluate(samples={"$PendingTasks": _history(0.0)}, values={}, now=_NOW)
    assert results["$NodeDeallocationOption"] == "taskcompletion"
    assert results["$TargetLowPriorityNodes"] == 0.0


def test_targets_are_whole_and_never_negative() -> None:
    assert _target("$TargetDedicatedNodes = 2.9;") == 2.0
    assert _target("$TargetDedicatedNodes = $CurrentDedicatedNodes - 5;") == 0.0


def test_get_sample_with_a_percentage_refuses_too_few_samples() -> None:
    with pytest.raises(FormulaError, match="fewer than"):
        _target("$TargetDedicatedNodes = avg($PendingTasks.GetSample(TimeInterval_Minute * 5, 60));")


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(FormulaError):
        parse(text)
