"""Detector that wraps any scikit-learn estimator or pipeline, fitted here or imported.

One estimator per sensor is fitted on its values as a column, shape ``(n, 1)``. The raw score is the negated
``decision_function``, so outliers by scikit-learn are above the threshold of 0. For an estimator that has only
``score_samples`` (a density), the lowest score of its training data is the boundary. A random state that is not set is
0, so that fitting twice gives equal models.

Constant sensors get no estimator: their value is normal (raw score 0), and every other value is anomalous (raw score
1), as with the one-class SVM.

A fitted estimator is stored as skops (:mod:`sensorwatch.detectors.external.stored`).
"""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sensorwatch.config.detectors import NO_PARAMETERS, EstimatorPolicy, canonical_json
from sensorwatch.detectors.base import Detector, fit_each
from sensorwatch.detectors.external.stored import estimator_from_bytes, estimator_to_bytes, first_line
from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.base import Fitted
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]

__all__ = ["Estimator", "make_estimator", "packed"]

_ORIGINAL: dict[str, list[dict[str, Any]]] = {
    "steps": [
        {"estimator": "sklearn.preprocessing.StandardScaler", "parameters": {}},
        {"estimator": "sklearn.svm.OneClassSVM", "parameters": {"gamma": 0.01, "kernel": "rbf", "nu": 0.0001}},
    ]
}
"""Model of the original system, used if no estimator is named."""

_PARAMS = pa.struct(
    [
        pa.field("specification", pa.string()),
        pa.field("constant", pa.float64()),
        pa.field("offset", pa.float64()),
        pa.field("model", pa.large_binary()),
    ]
)
_RANDOM_STATE = 0

_log = logging.getLogger(__name__)


class Estimator(Detector):
    """A scikit-learn estimator per sensor.

    Parameters
    ----------
    specification
        ``{"steps": [{"estimator": import path, "parameters": {…}}, …]}`` as JSON; several steps make a pipeline.
        Without steps, it is the original system's pipeline of StandardScaler and OneClassSVM.
    policy
        Estimators that may be made and loaded; None: the configuration's defaults.
    """

    name = "sklearn"
    threshold = 0.0

    def __init__(self, specification: str = NO_PARAMETERS, policy: EstimatorPolicy | None = None) -> None:
        self._specification = specification
        self._policy = policy or EstimatorPolicy()

    def with_parameters(self, specification: str, policy: EstimatorPolicy) -> Estimator:
        """Return the detector with an estimator; see :meth:`~sensorwatch.detectors.base.Detector.with_parameters`."""
        return Estimator(specification, policy)

    def fit(self, series: Series) -> Fitted:
        """Fit one model per sensor; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        return fit_each(series.finite(), self._fit_one, _PARAMS)

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return the negated decision function; see :meth:`~sensorwatch.detectors.base.Detector.score`.

        If a stored estimator can't be used, an error is logged, and its sensor has no scores.
        """
        raw = np.full(len(series.values), np.nan)
        for i, row in enumerate(params.to_pylist()):
            place = slice(series.offsets[i], series.offsets[i + 1])
            if row is None or place.start == place.stop:
                continue
            try:
                raw[place] = self._score_one(row, series.values[place])
            except InvalidInputError as exc:
                _log.error("a stored estimator can't be used, and its sensor is not scored: %s", exc)
        return raw

    def expected_range(self, params: pa.StructArray) -> tuple[Floats, Floats]:
        """Return the value of constant sensors; see :meth:`~sensorwatch.detectors.base.Detector.expected_range`."""
        constant = np.array([np.nan if row is None else row["constant"] for row in params.to_pylist()], np.float64)
        return constant, constant.copy()

    def _fit_one(self, series: Series) -> dict[str, object]:
        values = series.values
        if len(values) < 2:
            raise InvalidInputError(f"a model needs at least 2 finite values, got {len(values)}")
        lowest, highest = float(values.min()), float(values.max())
        if highest - lowest <= CONSTANT_TOLERANCE * max(abs(lowest), abs(highest)):
            constant = lowest / 2 + highest / 2
            return {"specification": self._specification, "constant": constant, "offset": 0.0, "model": None}
        estimator = make_estimator(self._specification, self._policy)
        column = values.reshape(-1, 1)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                estimator.fit(column)
                offset = (
                    0.0 if hasattr(estimator, "decision_function") else float(estimator.score_samples(column).min())
                )
        except Exception as exc:
            raise InvalidInputError(f"{type(estimator).__name__}: {first_line(exc)}") from exc
        content = estimator_to_bytes(estimator)
        row: dict[str, object] = {
            "specification": self._specification,
            "constant": None,
            "offset": offset,
            "model": content,
        }
        if not np.isfinite(self._score_one(row, values)).all():
            raise InvalidInputError(f"{type(estimator).__name__}: some scores of its own training data are not finite")
        return row

    def _score_one(self, row: dict[str, Any], values: Floats) -> Floats:
        raw = np.full(len(values), np.nan)
        if row["constant"] is not None:
            constant = row["constant"]
            raw[:] = np.where(np.abs(values - constant) <= CONSTANT_TOLERANCE * abs(constant), 0.0, 1.0)
            raw[np.isnan(values)] = np.nan
            return raw
        known = np.isfinite(values)
        estimator = estimator_from_bytes(row["model"], self._policy)
        raw[known] = _raw_scores(estimator, values[known], row["offset"])
        # An infinity is farther away than every number, and estimators reject it.
        raw[np.isinf(values)] = np.inf
        return raw


def packed(specification: str, content: bytes) -> pa.StructArray:
    """Return an imported estimator as the parameters of one sensor."""
    row = {"specification": specification, "constant": None, "offset": 0.0, "model": content}
    return pa.array([row], _PARAMS)


def make_estimator(specification: str, policy: EstimatorPolicy) -> Any:
    """Return a new estimator that is not fitted.

    Parameters
    ----------
    specification
        As for :class:`Estimator`.
    policy
        Estimators that may be made.

    Raises
    ------
    InvalidInputError
        A step is not in an allowed module, does not exist, is not an estimator, or rejects its parameters.
    """
    steps = json.loads(specification).get("steps") or _ORIGINAL["steps"]
    made = [_make_step(step["estimator"], step["parameters"], policy) for step in steps]
    if len(made) > 1:
        from sklearn.pipeline import make_pipeline

        estimator = make_pipeline(*made)
    else:
        (estimator,) = made
    if not (hasattr(estimator, "decision_function") or hasattr(estimator, "score_samples")):
        raise InvalidInputError(f"{steps[-1]['estimator']} has neither decision_function nor score_samples")
    states = {name: _RANDOM_STATE for name, value in estimator.get_params().items() if _is_open_state(name, value)}
    return estimator.set_params(**states)


def _is_open_state(name: str, value: object) -> bool:
    return name.rpartition("__")[2] == "random_state" and value is None


def _make_step(path: str, parameters: dict[str, Any], policy: EstimatorPolicy) -> Any:
    if not policy.allows(path):
        raise InvalidInputError(f"the estimator {path} is not in an allowed module ({', '.join(policy.modules)})")
    module, _, name = path.rpartition(".")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise InvalidInputError(f"the estimator {path} does not exist: {exc}") from exc
    if not isinstance(made, type) or not all(hasattr(made, method) for method in ("fit", "get_params", "set_params")):
        raise InvalidInputError(f"{path} is not an estimator: expected a class with fit, get_params and set_params")
    try:
        return made(**parameters)
    except TypeError as exc:
        raise InvalidInputError(f"{path} rejects its parameters {canonical_json(parameters)}: {exc}") from exc


def _raw_scores(estimator: Any, values: Floats, offset: float) -> Floats:
    column = values.reshape(-1, 1)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if hasattr(estimator, "decision_function"):
                normality = estimator.decision_function(column) if len(values) else np.empty(0)
            else:
                normality = estimator.score_samples(column) - offset if len(values) else np.empty(0)
        return -np.asarray(normality, np.float64).reshape(len(values))
    except Exception as exc:
        raise InvalidInputError(f"{type(estimator).__name__} failed to score: {first_line(exc)}") from exc
