"""Models of machines: what they find, that they find nothing where there is nothing, and that they come back whole."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from machine_fleets import START, fleet

from sensorwatch.errors import CorruptModelError, InvalidInputError
from sensorwatch.machines.card import model_card
from sensorwatch.machines.classifiers import RECIPES, Recipe, decide, fit_classifier
from sensorwatch.machines.fleet import COMPONENTS, HALF_DAY_SECONDS, Events, Fleet
from sensorwatch.machines.metrics import Pooled, measure, pooled
from sensorwatch.machines.model import feature_groups
from sensorwatch.machines.model_table import model_from_table, model_to_table
from sensorwatch.machines.training import Trained, TrainingPlan, measure_model, summary_of, train_model
from sensorwatch.models.table import checksum, models_from_bytes, models_to_bytes

DAYS = 120
END = START + DAYS * 86_400
SMALL = TrainingPlan(validation_days=30, test_days=30, rounds=15)
HORIZON = SMALL.horizon_seconds


@cache
def trained(recipe: Recipe) -> Trained:
    return train_model(fleet(15, DAYS), replace(SMALL, recipe=recipe), None, END)


def with_failures_of_others(whole: Fleet, seed: int) -> Fleet:
    """Each machine gets the failures of another one, at other times of the year."""
    random = np.random.default_rng(seed)
    failures = whole.failures
    machine = random.permutation(len(whole.machines.machine_id))[failures.machine].astype(np.int32)
    time = START + (failures.time - START + int(random.integers(20, 60)) * 86_400) % (DAYS * 86_400)
    order = np.lexsort((failures.kind, time, machine))
    return replace(whole, failures=Events(machine[order], time[order], failures.kind[order]))


def mean_lift(found: Trained | None, whole: Fleet) -> float:
    metrics = (
        measure_model(whole, replace(SMALL, recipe="boosted"), None, END).metrics
        if found is None
        else found.measured.metrics
    )
    return float(np.mean([metrics.pr_auc[name] / metrics.prevalence[name] for name in metrics.pr_auc]))


def test_a_model_of_labels_that_belong_to_others_is_at_chance() -> None:
    assert mean_lift(trained("boosted"), fleet(15, DAYS)) > 4
    assert mean_lift(None, with_failures_of_others(fleet(15, DAYS), 1)) < 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stored_model_decides_and_explains_as_before(recipe: Recipe) -> None:
    model = trained(recipe).model
    content = models_to_bytes(model_to_table(model))
    assert models_to_bytes(model_to_table(model)) == content
    again = model_from_table(models_from_bytes(content, checksum(content)))
    table = trained(recipe).measured.samples.table
    decisions = model.decide(table)
    np.testing.assert_array_equal(decisions.risk, again.decide(table).risk)
    np.testing.assert_array_equal(decisions.warns, again.decide(table).warns)
    rows = np.flatnonzero(decisions.warns.any(axis=1))[:5]
    assert len(rows)
    assert again.reasons(table, decisions, rows) == model.reasons(table, decisions, rows)
    assert any(reason.text for row in model.reasons(table, decisions, rows) for each in row for reason in each)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_measured_model_has_seen_nothing_of_the_test_part(recipe: Recipe) -> None:
    parts = trained(recipe).measured.parts
    measured = trained(recipe).measured.model
    first_tested = parts["test"][0] * HALF_DAY_SECONDS
    assert measured.trained_until + HORIZON + 36 * 3600 <= first_tested
    assert trained(recipe).model.trained_until == parts["test"][1] * HALF_DAY_SECONDS
    if "validation" in parts:
        assert measured.trained_until + HORIZON < parts["validation"][0] * HALF_DAY_SECONDS


def test_the_default_finds_more_than_the_original_recipe_on_the_same_samples() -> None:
    whole = fleet(40, 200, 6)
    end = START + 200 * 86_400
    default, original = (
        measure_model(whole, replace(TrainingPlan(), recipe=recipe, rounds=40), None, end).metrics
        for recipe in ("boosted", "forest")
    )
    assert default.pooled.recall > 1.3 * original.pooled.recall
    assert default.pooled.f1 > 1.2 * original.pooled.f1
    assert default.warned > original.warned


def test_training_again_gives_the_same_model() -> None:
    again = train_model(fleet(15, DAYS), replace(SMALL, recipe="tree"), None, END)
    assert models_to_bytes(model_to_table(again.model)) == models_to_bytes(model_to_table(trained("tree").model))


def test_risks_are_as_frequent_as_they_say_although_classes_are_weighted() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(4000, 3))
    fails = random.random((4000, 4)) < 0.2 / (1 + np.exp(-3 * values[:, :1]))
    first = np.where(fails.any(axis=1), fails.argmax(axis=1) + 1, 0).astype(np.int8)
    risk = fit_classifier("boosted", values, first, fails, seed=0, jobs=1, rounds=40).probabilities(values)
    np.testing.assert_allclose(risk.mean(axis=0), fails.mean(axis=0), rtol=0.25)


def test_the_card_shows_every_figure_and_escapes_what_it_is_given() -> None:
    manifest = summary_of(trained("boosted")) | {
        "version": "<v>",
        "window_end": "2015",
        "machines": 15,
        "readings": 1,
        "failures": 2,
    }
    page = model_card(manifest)
    assert page == model_card(manifest)
    assert page.count("<svg") == 4
    assert not re.search(r"\bnan\b", page)
    assert page.count("samples of healthy predicted as") == len(COMPONENTS) + 1
    assert page.count("days before</title>") == len({int(2 * days) for days in manifest["metrics"]["lead_days"]})
    assert manifest["importances"]
    for group, loss in manifest["importances"].items():
        assert f"<title>{group}: {loss:.4f}</title>" in page
    assert "&lt;v&gt;" in page
    assert "<v>" not in page
    assert "<script" not in page
    assert f"{manifest['metrics']['pooled']['recall']:.3f}" in page


@pytest.mark.parametrize("change", ["specification", "threshold", "model", "rows"])
def test_bytes_that_are_no_model_are_refused(change: str) -> None:
    table = model_to_table(trained("tree").model)
    rows = table.to_pylist()
    if change == "specification":
        rows[0]["params_machines"]["specification"] = '{"recipe": "other"}'
    elif change == "threshold":
        rows[0]["params_machines"]["specification"] = rows[0]["params_machines"]["specification"].replace(
            "tree", "boosted"
        )
    elif change == "model":
        rows[0]["params_machines"]["model"] = b"nothing"
    else:
        rows = rows[:2]
    with pytest.raises(CorruptModelError):
        model_from_table(pa.Table.from_pylist(rows, schema=table.schema))


def test_a_tree_whose_nodes_point_outside_is_refused() -> None:
    import skops.io

    rows = model_to_table(trained("tree").model).to_pylist()
    estimator = skops.io.loads(rows[0]["params_machines"]["model"], trusted=["sklearn.tree._tree.Tree"])
    state = estimator.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 10_000_000
    estimator.tree_.__setstate__(state)
    rows[0]["params_machines"]["model"] = skops.io.dumps(estimator)
    with pytest.raises(CorruptModelError, match="nodes that do not exist"):
        model_from_table(pa.Table.from_pylist(rows, schema=model_to_table(trained("tree").model).schema))


def test_too_little_data_is_refused_with_what_would_help() -> None:
    with pytest.raises(InvalidInputError, match="MAINTENANCE_TEST_DAYS"):
        train_model(fleet(15, DAYS), TrainingPlan(), None, END)
    whole = fleet(15, DAYS)
    healthy = replace(whole, failures=whole.failures.rows(np.zeros(len(whole.failures.time), np.bool_)))
    with pytest.raises(InvalidInputError, match="samples before a failure"):
        train_model(healthy, SMALL, None, END)
    with pytest.raises(InvalidInputError, match="nothing to train on"):
        train_model(fleet(15, DAYS), SMALL, END - 86_400, END)


def test_the_pooled_figures_are_those_of_the_original_definition() -> None:
    figures = pooled([[900, 5, 0, 3, 0], [20, 10, 1, 0, 0], [0, 0, 8, 0, 0], [4, 0, 0, 6, 0], [6, 0, 0, 0, 7]])
    right, named, missed = 31, 40, 30
    assert figures.precision == pytest.approx(right / named)
    assert figures.recall == pytest.approx(right / (right + missed))
    assert figures.accuracy == pytest.approx((900 + right) / 970)
    assert pooled(np.zeros((5, 5), int)) == Pooled(0.0, 0.0, 0.0, 0.0)


def test_leads_and_false_alarms_are_counted_by_failure_and_by_run() -> None:
    sample = np.arange(40)
    to_failure = np.full((40, 4), 10**9)
    to_failure[:31, 1] = (30 - sample[:31] + 1) * HALF_DAY_SECONDS
    risk = np.zeros((40, 4))
    risk[[2, 3, 5, 26, 28, 29], 1] = 0.9
    risk[36, 0] = 0.9
    metrics = measure(decide(risk, np.full(4, 0.5)), np.zeros(40, np.int64), sample, to_failure, HORIZON)
    assert (metrics.failures, metrics.warned, metrics.lead_days) == (1, 1, (2.5,))
    assert metrics.false_alarms == 2
    assert metrics.false_alarms_per_machine_year == pytest.approx(2 / (40 / 730.5))


def test_the_likeliest_class_decides_where_there_are_no_thresholds() -> None:
    risk = np.array([[0.3, 0.2, 0.0, 0.1], [0.5, 0.1, 0.0, 0.0], [0.25, 0.3, 0.2, 0.0]])
    found = decide(risk, None)
    assert found.predicted.tolist() == [0, 1, 2]
    assert found.warns.tolist() == [[False] * 4, [True, False, False, False], [False, True, False, False]]


def test_the_component_that_exceeds_its_threshold_most_is_the_class() -> None:
    found = decide(np.array([[0.3, 0.45, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1]]), np.array([0.2, 0.4, 0.5, 0.5]))
    assert found.predicted.tolist() == [1, 0]
    assert found.warns[0].tolist() == [True, True, False, False]


def test_columns_are_grouped_by_what_they_are_about() -> None:
    names = trained("boosted").measured.samples.table.names
    groups = feature_groups(names)
    assert {"volt", "error5", "age", *(f"{name}_days" for name in COMPONENTS)} <= groups.keys()
    assert all(names[column].startswith("volt") for column in groups["volt"])
    assert len(groups["volt"]) == 9
