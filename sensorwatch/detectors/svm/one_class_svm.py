"""One-class SVM of the original system.

The model is ``StandardScaler`` and ``OneClassSVM(nu=0.0001, kernel="rbf", gamma=0.01)``, one per sensor. Two detectors
share its parameters and its scoring. They differ in how the optimum is found:

``ocsvm``
    The exact optimum. If the training range is at most 15.6 standard deviations wide, there is a closed form: the
    support vectors are the lowest and the highest training value, with equal weights, so the training range is normal.
    Wider ranges are solved by :mod:`~sensorwatch.detectors.svm.active_set`, which certifies the optimum by its duality
    gap. If that fails, scikit-learn solves them with ``tol=1e-10``.
``ocsvm_sklearn``
    The solution of scikit-learn with its default ``tol=1e-3``, label for label, for comparison with such models. The
    tolerance is coarse compared with weights that sum to ``nu * n``, so these models flag part of their training data.

The raw score is the negated decision function. Support vectors are on the boundary up to rounding, so raw scores up to
``1e-9`` are normal: to ``ocsvm``, the lowest and the highest training value are never anomalous.

An SVM would flag every value of a constant sensor (all values equal within a relative ``1e-12``). For both detectors,
the value of such a sensor is normal (raw score 0), and every other value is anomalous (raw score 1).

Source: B. Schölkopf et al., Estimating the support of a high-dimensional distribution, Neural Computation 13 (2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import Detector, Fitted
from sensorwatch.detectors.svm import active_set
from sensorwatch.detectors.svm.kernel_decision import CLOSED_FORM_WIDTH, GAMMA, TIE, KernelDecision
from sensorwatch.detectors.windowing.series import VALUES_AT_ONCE
from sensorwatch.detectors.windowing.summary import Summary
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["GAMMA", "NU", "OneClassSvm"]

NU = 0.0001

_EXACT_TOLERANCE = 1e-10
"""Tolerance of the solver for the exact optimum: a tenth of the tolerance of the boundary."""

_MAX_WEIGHT = 0.999
"""Up to this weight, the upper bound of 1 on weights certainly does not matter."""

_MAX_ITERATIONS = 10_000_000


class OneClassSvm(Detector):
    """One-class SVM per sensor.

    Parameters
    ----------
    name
        Name in settings and model files.
    exact
        True for the exact optimum, False for the solution of scikit-learn with its default tolerance.
    """

    threshold = TIE

    def __init__(self, name: str, *, exact: bool) -> None:
        self.name = name
        self._exact = exact

    def fit(self, series: Series) -> Fitted:
        """Fit one model per sensor; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        finite = series.finite()
        summary = Summary.of(finite)
        reasons = summary.reasons()
        sound = np.array([reason is None for reason in reasons], dtype=np.bool_)
        constant = sound & summary.constant
        closed = sound & ~constant & self._has_closed_form(summary)
        models = _Models.of(summary, constant, closed)
        left = np.flatnonzero(sound & ~constant & ~closed)
        if self._exact:
            left = models.solve_exactly(left, finite, summary)
        for i in left:
            values = finite.values[finite.offsets[i] : finite.offsets[i + 1]]
            try:
                models.put(int(i), self._solve(values, summary.mean[i], summary.scale[i]))
            except InvalidInputError as exc:
                reasons[i] = str(exc)
                sound[i] = False
        return Fitted(models.packed(sound), tuple(reasons))

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return the negated decision function; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
        return KernelDecision.of(params).raw_scores(series)

    def anomalous(self, params: pa.StructArray, series: Series, threshold: Floats) -> Flags:
        """Return decisions, without most of the scores; see :meth:`~sensorwatch.detectors.base.Detector.anomalous`."""
        del threshold
        return KernelDecision.of(params).anomalous(series)

    def expected_range(self, params: pa.StructArray) -> tuple[Floats, Floats]:
        """Return the range of normal values; see :meth:`~sensorwatch.detectors.base.Detector.expected_range`."""
        return KernelDecision.of(params).normal_ranges()

    def _has_closed_form(self, summary: Summary) -> Flags:
        if not self._exact:
            return np.zeros(len(summary.size), dtype=np.bool_)
        narrow = summary.width <= CLOSED_FORM_WIDTH * summary.scale
        return narrow & (NU * summary.size / 2 <= _MAX_WEIGHT)

    def _solve(self, values: Floats, mean: float, scale: float) -> _Model:
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import OneClassSVM

        column = values.reshape(-1, 1)
        if self._exact:
            standardised = (column - mean) / scale
            svm = OneClassSVM(nu=NU, kernel="rbf", gamma=GAMMA, tol=_EXACT_TOLERANCE, max_iter=_MAX_ITERATIONS)
        else:
            scaler = StandardScaler()
            standardised = scaler.fit_transform(column)
            mean, scale = float(scaler.mean_[0]), float(scaler.scale_[0])
            svm = OneClassSVM(nu=NU, kernel="rbf", gamma=GAMMA)
        svm.fit(standardised)
        if svm.fit_status_ != 0:
            raise InvalidInputError(
                f"the solver found no optimum within {_MAX_ITERATIONS} steps for {len(values)} values"
            )
        return _Model(mean, scale, svm.support_vectors_[:, 0], svm.dual_coef_[0], float(svm.intercept_[0]))


class _Model(NamedTuple):
    """Model of one sensor: its scaling, and the decision function of standardised values."""

    mean: float
    scale: float
    support_vectors: Floats
    dual_coefficients: Floats
    intercept: float


@dataclass(frozen=True, slots=True)
class _Models:
    """Models of all sensors: columns of shape ``(n_sensors,)``, and support vectors in batches."""

    mean: Floats
    scale: Floats
    intercept: Floats
    counts: Integers
    batches: list[_Batch]

    @classmethod
    def of(cls, summary: Summary, constant: Flags, closed: Flags) -> _Models:
        """Return the models of the constant sensors and of those with a closed form."""
        mean, scale = summary.mean.copy(), summary.scale.copy()
        mean[constant] = summary.lowest[constant] / 2 + summary.highest[constant] / 2
        scale[constant] = 0.0
        models = cls(mean, scale, np.zeros(len(mean)), np.zeros(len(mean), np.int64), [])
        rows = np.flatnonzero(closed)
        vectors = (np.stack((summary.lowest[rows], summary.highest[rows])) - mean[rows]) / scale[rows]
        weight = NU * summary.size[rows] / 2
        level = 1 + np.exp(-GAMMA * (vectors[1] - vectors[0]) ** 2)
        models._place(rows, np.full(len(rows), 2), vectors.T, np.stack((weight, weight), axis=1), weight * level)
        return models

    def solve_exactly(self, rows: Integers, series: Series, summary: Summary) -> Integers:
        """Solve the sensors at ``rows`` by active sets; return those whose optimum could not be certified."""
        uncertified = []
        rows = rows[np.argsort(summary.size[rows], kind="stable")]
        first = 0
        while first < len(rows):
            # Sensors next to each other have similar numbers of values, so that there is little padding.
            some = rows[first : first + max(1, VALUES_AT_ONCE // int(summary.size[rows[first]]))]
            size = summary.size[some, None]
            place = np.minimum(np.arange(size.max()), size - 1)
            points = series.values[series.offsets[some, None] + place]
            points -= self.mean[some, None]
            points /= self.scale[some, None]
            found = active_set.solve(points, GAMMA)
            total = NU * summary.size[some]
            good = found.certified & (total * found.beta.max(axis=1) <= _MAX_WEIGHT)
            uncertified.append(some[~good])
            total = total[good]
            self._place(
                some[good],
                found.counts[good],
                found.support[good],
                found.beta[good] * total[:, None],
                found.level[good] * total,
            )
            first += len(some)
        return np.sort(np.concatenate(uncertified)) if uncertified else rows

    def put(self, i: int, model: _Model) -> None:
        """Set the model of one sensor."""
        self.mean[i], self.scale[i] = model.mean, model.scale
        vectors, weights = model.support_vectors[None], model.dual_coefficients[None]
        self._place(
            np.array([i]), np.array([len(model.support_vectors)]), vectors, weights, np.array([-model.intercept])
        )

    def _place(self, rows: Integers, counts: Integers, vectors: Floats, weights: Floats, level: Floats) -> None:
        self.counts[rows] = counts
        self.intercept[rows] = -level
        self.batches.append(_Batch(rows, vectors, weights))

    def packed(self, sound: Flags) -> pa.StructArray:
        """Return the parameters, null for a sensor without a model."""
        offsets = np.concatenate(([0], np.cumsum(self.counts)))
        vectors, weights = np.empty(offsets[-1]), np.empty(offsets[-1])
        for batch in self.batches:
            slots = np.arange(batch.vectors.shape[1])
            used = slots < self.counts[batch.rows, None]
            place = (offsets[batch.rows, None] + slots)[used]
            vectors[place], weights[place] = batch.vectors[used], batch.weights[used]
        lists = offsets.astype(np.int32)
        return pa.StructArray.from_arrays(
            [
                pa.array(np.where(sound, self.mean, 0.0)),
                pa.array(np.where(sound, self.scale, 0.0)),
                pa.ListArray.from_arrays(lists, vectors),
                pa.ListArray.from_arrays(lists, weights),
                pa.array(self.intercept),
            ],
            names=["mean", "scale", "support_vectors", "dual_coefficients", "intercept"],
            mask=pa.array(~sound),
        )


class _Batch(NamedTuple):
    """Support vectors and weights of some sensors, one row each, padded at the end."""

    rows: Integers
    vectors: Floats
    weights: Floats
