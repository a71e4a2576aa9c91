"""Exact one-class SVMs of many sensors at once, by active sets.

The dual problem of the one-class SVM is to minimise ``alpha' K alpha / 2`` over ``0 <= alpha <= 1`` with ``sum(alpha) =
nu n``. With ``beta = alpha / (nu n)`` and without the upper bound, its solution is the point ``w = sum beta_j
phi(x_j)`` of least norm in the convex hull of the mapped training values. P. Wolfe's algorithm finds it:

1. Start with the lowest and the highest value as the support set, with equal weights. Both belong to the optimum,
   because ``g(x) = sum beta_j k(x_j, x)`` decreases outside the outermost support vectors.
2. If the minimum of ``g`` over the training values is not below ``w'w``, ``w`` is optimal. Otherwise, add the value at
   the minimum to the support set.
3. The point of least norm in the affine hull of the support set has ``K_S y = 1``, ``beta = y / sum(y)``. If some of
   its weights are not positive, move towards it only until the first weight is 0, remove that value, and solve again.
   Then continue with 2.

The norm decreases with every round, so no support set occurs twice. Rounding may still prevent convergence. Therefore,
every result is **certified by its duality gap** ``w'w - min_j g(x_j)``. For the optimum ``w*``, ``w'w* = sum beta*_j
g(x_j) >= min_j g(x_j)``, and ``w'w* >= w*'w*``, because ``w`` is in the hull. So ``|w - w*|²`` is at most the gap, and
because ``|phi(x)| = 1``, the error of ``g`` is at most the square root of the gap everywhere. The caller checks the
upper bound, which holds if ``nu n max(beta) <= 1``.

One-dimensional values and a wide kernel need few support vectors: sensors with more than eight are reported as not
solved. Support sets are padded to eight slots, and the values of a shorter sensor with one of its own values, which
does not change its optimum.

Source: P. Wolfe, Finding the nearest point in a polytope, Mathematical Programming 11 (1976), 128-149; the conditions
as in B. Schölkopf et al., Estimating the support of a high-dimensional distribution, Neural Computation 13 (2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["GAP", "SLOTS", "Solution", "solve"]

GAP = 1e-13
"""Largest duality gap of an optimum; the error of the decision function of ``beta`` is then at most 3.2e-7."""

SLOTS = 8
"""Largest number of support vectors of one sensor."""

_ROUNDS = 60

_RIDGE = 1e-14
"""Added to the kernel's diagonal: in double precision, values closer than 1e-7 have the same row, so either is fine."""


class Solution(NamedTuple):
    """Solutions of :func:`solve`.

    Attributes
    ----------
    support
        Support vectors in ascending order, used slots first, shape ``(n_sensors, SLOTS)``.
    beta
        Weights of the support vectors, which sum to 1, shape ``(n_sensors, SLOTS)``; 0 in an unused slot.
    counts
        Number of used slots, shape ``(n_sensors,)``.
    level
        ``w'w``, the value of ``g`` at every support vector, shape ``(n_sensors,)``.
    certified
        Whether the duality gap over all training values is at most :data:`GAP`, shape ``(n_sensors,)``.
    """

    support: Floats
    beta: Floats
    counts: Integers
    level: Floats
    certified: Flags


def solve(points: Floats, gamma: float) -> Solution:
    """Return the weights of least norm for each sensor.

    Parameters
    ----------
    points
        Standardised training values, one row per sensor, shape ``(n_sensors, n_values)``. The values of a row are not
        all equal.
    gamma
        Coefficient of the kernel ``exp(-gamma (x - y)²)``.

    Examples
    --------
    >>> found = solve(np.array([[-1.0, 0.0, 1.0], [0.0, 0.5, 30.0]]), 0.01)
    >>> found.support[0, :2].tolist(), found.beta[0, :2].tolist(), bool(found.certified.all())
    ([-1.0, 1.0], [0.5, 0.5], True)
    """
    return _ActiveSets(points, gamma).run()


class _ActiveSets:
    """State of all sensors; the kernel between values and a support vector is computed once."""

    def __init__(self, points: Floats, gamma: float) -> None:
        rows, values = points.shape
        self._points = points
        self._gamma = gamma
        self._support = np.zeros((rows, SLOTS))
        self._used = np.zeros((rows, SLOTS), np.bool_)
        self._beta = np.zeros((rows, SLOTS))
        self._columns = np.zeros((rows, SLOTS, values))
        self._level = np.zeros(rows)
        self._certified = np.zeros(rows, np.bool_)

    def run(self) -> Solution:
        every = np.arange(len(self._points))
        for slot, outermost in enumerate((self._points.min(axis=1), self._points.max(axis=1))):
            self._add(every, np.full(len(every), slot), outermost)
            self._beta[:, slot] = 0.5
        open_rows = every
        for _ in range(_ROUNDS):
            open_rows = self._extend(open_rows)
            if not len(open_rows):
                break
            self._settle(open_rows)
        order = np.argsort(np.where(self._used, self._support, np.inf), axis=1)
        return Solution(
            np.take_along_axis(self._support, order, axis=1),
            np.take_along_axis(self._beta, order, axis=1),
            self._used.sum(axis=1),
            self._level,
            self._certified,
        )

    def _extend(self, rows: Integers) -> Integers:
        """Certify the rows that are optimal; add the value at the minimum of ``g`` to the others, and return them."""
        beta = self._beta[rows]
        g = beta[:, 0, None] * self._columns[rows, 0]
        for slot in range(1, SLOTS):
            having = np.flatnonzero(beta[:, slot])
            if len(having):
                g[having] += beta[having, slot, None] * self._columns[rows[having], slot]
        worst = g.argmin(axis=1)
        level = ((self._kernels(rows) @ beta[:, :, None])[:, :, 0] * beta).sum(axis=1)
        self._level[rows] = level
        self._certified[rows] = level - g[np.arange(len(rows)), worst] <= GAP
        going = ~self._certified[rows] & ~self._used[rows].all(axis=1)
        rows, worst = rows[going], worst[going]
        self._add(rows, self._used[rows].argmin(axis=1), self._points[rows, worst])
        return rows

    def _settle(self, rows: Integers) -> None:
        """Move the weights to the point of least norm in the hull of the support set, removing values on the way."""
        while len(rows):
            used = self._used[rows]
            ridged = self._kernels(rows) + _RIDGE * np.eye(SLOTS)
            solved = np.linalg.solve(ridged, used[:, :, None].astype(np.float64))[:, :, 0]
            target = solved / solved.sum(axis=1, keepdims=True)
            old = self._beta[rows]
            blocked = used & (target <= 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = np.where(blocked, old / (old - target), np.inf)
            first = reach.argmin(axis=1)
            step = np.minimum(np.take_along_axis(reach, first[:, None], axis=1), 1.0)
            beta = np.where(used, old + step * (target - old), 0.0)
            short = np.flatnonzero(blocked.any(axis=1))
            beta[short, first[short]] = 0.0
            self._used[rows[short], first[short]] = False
            self._beta[rows] = beta
            rows = rows[short]

    def _add(self, rows: Integers, slot: Integers, value: Floats) -> None:
        self._support[rows, slot] = value
        self._used[rows, slot] = True
        distance = self._points[rows] - value[:, None]
        distance *= distance
        distance *= -self._gamma
        self._columns[rows, slot] = np.exp(distance, out=distance)

    def _kernels(self, rows: Integers) -> Floats:
        """Return the kernel between each row's support vectors; the identity in unused slots."""
        support, used = self._support[rows], self._used[rows]
        distance = support[:, :, None] - support[:, None, :]
        kernels = np.exp(-self._gamma * distance * distance)
        kernels *= used[:, :, None] & used[:, None, :]
        diagonal = np.arange(SLOTS)
        kernels[:, diagonal, diagonal] = 1.0
        return kernels
