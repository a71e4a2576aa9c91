"""Model of machines as a table of the model registry: one row for each component, like a shard of four sensors.

The columns are those of :mod:`sensorwatch.models.table`; the rest of the model is in the column
``params_machines``: the specification as JSON, and the estimators as skops. A single estimator for all classes is in
the first row. Nothing is unpickled, and only the listed types are created. The nodes of trees are checked before use,
because scikit-learn does not check them.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from sensorwatch.config.detectors import EstimatorPolicy
from sensorwatch.detectors.external.stored import estimator_from_bytes, estimator_to_bytes
from sensorwatch.errors import CorruptModelError, InvalidInputError
from sensorwatch.machines.classifiers import RECIPES, Classifier, feature_set_of
from sensorwatch.machines.features import feature_names
from sensorwatch.machines.fleet import COMPONENTS
from sensorwatch.machines.model import MachineModel
from sensorwatch.models.table import MODEL_SCHEMA, params_column

__all__ = ["TRUSTED_TYPES", "model_from_table", "model_to_table"]

TRUSTED_TYPES = (
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "_loss.CyHalfBinomialLoss",
)
"""Types allowed in stored estimators in addition to those that skops trusts: the parts of scikit-learn's trees."""

_COLUMN = params_column("machines")
_PARAMS = pa.struct([pa.field("specification", pa.string()), pa.field("model", pa.large_binary())])


def model_to_table(model: MachineModel) -> pa.Table:
    """Convert a model to a table; equal models give equal tables.

    Raises
    ------
    InvalidInputError
        An estimator cannot be stored.
    """
    classifier = model.classifier
    specification = json.dumps(
        {
            "recipe": classifier.recipe,
            "machine_models": list(model.machine_models),
            "horizon_seconds": model.horizon_seconds,
            "odds": list(classifier.odds),
            "usual": model.usual.tolist(),
        },
        sort_keys=True,
    )
    stored = [None if each is None else estimator_to_bytes(each) for each in classifier.estimators]
    stored += [None] * (len(COMPONENTS) - len(stored))
    rows = [
        {
            "sensor_id": component,
            "detector": f"machines-{classifier.recipe}",
            "state": "ready",
            "reason": "",
            "windows": model.rows,
            "training_start": model.trained_from,
            "training_end": model.trained_until,
            "first_training_end": model.trained_until,
            "version": "",
            "threshold": None if model.thresholds is None else float(model.thresholds[component]),
            _COLUMN: {"specification": specification, "model": stored[component]},
        }
        for component in range(len(COMPONENTS))
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([*MODEL_SCHEMA, pa.field(_COLUMN, _PARAMS)]))


def model_from_table(table: pa.Table) -> MachineModel:
    """Convert a table to a model.

    Raises
    ------
    CorruptModelError
        The table is not a model of machines, or its estimators cannot be used.
    """
    try:
        return _model(table.to_pylist())
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, InvalidInputError) as exc:
        raise CorruptModelError(f"expected a model of machines, got other content: {exc}") from exc


def _model(rows: list[dict[str, Any]]) -> MachineModel:
    specification = json.loads(rows[0][_COLUMN]["specification"])
    recipe = specification["recipe"]
    if recipe not in RECIPES or len(rows) != len(COMPONENTS):
        raise ValueError(f"recipe `{recipe}`, {len(rows)} rows")
    machine_models = tuple(map(str, specification["machine_models"]))
    columns = len(feature_names(machine_models, feature_set_of(recipe)))
    usual = np.array(specification["usual"], np.float64)
    odds = tuple(map(float, specification["odds"]))
    if len(usual) != columns or len(odds) not in (0, len(COMPONENTS)):
        raise ValueError(f"{len(usual)} usual values for {columns} columns, {len(odds)} odds")
    contents = [row[_COLUMN]["model"] for row in rows][: len(odds) or 1]
    policy = EstimatorPolicy(trusted_types=TRUSTED_TYPES)
    estimators = tuple(None if each is None else estimator_from_bytes(each, policy) for each in contents)
    for estimator in estimators:
        if estimator is not None:
            _check_trees(estimator, columns)
    thresholds = [row["threshold"] for row in rows]
    return MachineModel(
        classifier=Classifier(recipe, estimators, odds),
        machine_models=machine_models,
        thresholds=None if None in thresholds else np.array(thresholds, np.float64),
        usual=usual,
        horizon_seconds=int(specification["horizon_seconds"]),
        rows=int(rows[0]["windows"]),
        trained_from=int(rows[0]["training_start"]),
        trained_until=int(rows[0]["training_end"]),
    )


def _check_trees(estimator: Any, columns: int) -> None:
    """Refuse trees with invalid node numbers, because following them would read foreign memory."""
    if estimator.n_features_in_ != columns:
        raise ValueError(f"expected an estimator of {columns} columns, got {estimator.n_features_in_}")
    if hasattr(estimator, "_predictors"):
        for iteration in estimator._predictors:
            for predictor in iteration:
                nodes = predictor.nodes
                inner = nodes[nodes["is_leaf"] == 0]
                _check_nodes(inner["left"], inner["right"], inner["feature_idx"], len(nodes), columns)
        return
    for tree in (each.tree_ for each in getattr(estimator, "estimators_", [estimator])):
        inner = tree.children_left != -1
        left, right, feature = tree.children_left[inner], tree.children_right[inner], tree.feature[inner]
        _check_nodes(left, right, feature, tree.node_count, columns)


def _check_nodes(left: Any, right: Any, feature: Any, nodes: int, columns: int) -> None:
    parents = np.maximum(np.asarray(left, np.int64), np.asarray(right, np.int64))
    lowest = np.minimum(np.asarray(left, np.int64), np.asarray(right, np.int64))
    if nodes < 1 or (lowest < 1).any() or (parents >= nodes).any() or (np.asarray(feature, np.int64) >= columns).any():
        raise ValueError("a tree with nodes that do not exist")
    if (np.asarray(feature, np.int64) < 0).any():
        raise ValueError("a tree with columns that do not exist")
