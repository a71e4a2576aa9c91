"""The one-class SVM of the original system.

It is ``StandardScaler`` and ``OneClassSVM(nu=0.0001, kernel="rbf", gamma=0.01)``, one per sensor. Two detectors share
its parameters and its scoring and differ in how the optimum is found:

``ocsvm``
    The exact optimum. A sensor whose training range is at most 15.6 standard deviations wide has it in closed form:
    the support vectors are the lowest and the highest training value, with equal weights, so what is normal is the
    training range. Wider ones are solved by :mod:`~sensorwatch.detectors.svm.active_set`, which certifies the optimum
    by its duality gap; what it can't certify goes through scikit-learn with ``tol=1e-10``.
``ocsvm_sklearn``
    What scikit-learn gives with its default ``tol=1e-3``, label for label, for comparing with models made that way.
    That tolerance is coarse against weights that sum to ``nu * n``: such models flag part of their own training data.

The raw score is the negated decision function. Support vectors lie on the boundary up to rounding, so raw scores up to
``1e-9`` are normal: the lowest and the highest training value are never anomalies of ``ocsvm``.

Sensors that only ever had one value (equal within a relative ``1e-12``) are no case for an SVM, which would flag
everything. For them, under both names, that value is normal (raw score 0) and any other is not (raw score 1).

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
"""The solver's, for the exact optimum: an order below what counts as lying on the boundary."""

_LARGEST_WEIGHT = 0.999
"""A weight is at most 1; up to this share of it that bound surely does not matter."""

_VALUES_AT_ONCE = 1 << 16
"""Values that are worked on at once: the working arrays stay in the processor's cache."""

_MAX_ITERATIONS = 10_000_000


class OneClassSvm(Detector):
    """One-class SVM per sensor.

    Parameters
    ----------
    name
        Its name in settings and model shards.
    exact
        Whether to find the exact optimum or what scikit-learn finds with its default tolerance.
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
        """Return the outermost normal values; see :meth:`~sensorwatch.detectors.base.Detector.expected_range`."""
        return KernelDecision.of(params).normal_ranges()

    def _has_closed_form(self, summary: Summary) -> Flags:
        if not self._exact:
            return np.zeros(len(summary.size), dtype=np.bool_)
        narrow = summary.width <= CLOSED_FORM_WIDTH * summary.scale
        return narrow & (NU * summary.size / 2 <= _LARGEST_WEIGHT)

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
    """One solved sensor: its scaling, and the decision function in standardised values."""

    mean: float
    scale: float
    support_vectors: Floats
    dual_coefficients: Floats
    intercept: float


@dataclass(frozen=True, slots=True)
class _Models:
    """Solved sensors: columns of shape ``(n_sensors,)``, and the support vectors of each kind of solution."""

    mean: Floats
    scale: Floats
    intercept: Floats
    counts: Integers
    batches: list[_Batch]

    @classmethod
    def of(cls, summary: Summary, constant: Flags, closed: Flags) -> _Models:
        """Return the models of constant sensors, and of those with the closed form."""
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
        """Solve sensors by active sets; return those whose optimum could not be certified."""
        uncertified = []
        rows = rows[np.argsort(summary.size[rows], kind="stable")]
        first = 0
        while first < len(rows):
            # Neighbours are about as long, so that little is padded.
            some = rows[first : first + max(1, _VALUES_AT_ONCE // int(summary.size[rows[first]]))]
            size = summary.size[some, None]
            place = np.minimum(np.arange(size.max()), size - 1)
            points = series.values[series.offsets[some, None] + place]
            points -= self.mean[some, None]
            points /= self.scale[some, None]
            found = active_set.solve(points, GAMMA)
            total = NU * summary.size[some]
            good = found.certified & (total * found.beta.max(axis=1) <= _LARGEST_WEIGHT)
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
        """Take over one sensor's model."""
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
        """Return the parameters, null where a sensor is not sound."""
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
    """Support vectors and weights of some sensors, a row each; as many of a row count as the sensor has."""

    rows: Integers
    vectors: Floats
    weights: Floats
