"""The exact one-class SVM of many sensors at once, by active sets.

The dual of the one-class SVM is: over ``alpha >= 0`` with ``sum(alpha) = nu n`` and ``alpha <= 1``, minimise
``alpha' K alpha / 2``. With ``beta = alpha / (nu n)`` and the upper bound left out, that is the point ``w = sum beta_j
phi(x_j)`` of least norm in the convex hull of the mapped training values. P. Wolfe's algorithm finds it:

1. Begin with the lowest and the highest value as the support set, half the weight each. Both belong to the optimum, as
   ``g(x) = sum beta_j k(x_j, x)`` only falls outwards of the outermost support vectors.
2. Where ``g`` at the lowest training value of ``g`` is not below ``w'w``, ``w`` is optimal. Else that value joins.
3. The least point of the support set's affine hull has ``K_S y = 1``, ``beta = y / sum(y)``. Where a weight is not
   positive, go towards it only until the first weight is 0, let that value go, and solve again. Then back to 2.

The norm falls with every round, so no support set comes twice. Rounding may stop a sensor all the same; therefore
nothing is assumed and every result is **certified by its duality gap** ``w'w - min_j g(x_j)``. With ``w*`` the optimum,
``w'w* = sum beta*_j g(x_j) >= min_j g(x_j)``, and ``w'w* >= w*'w*``, as ``w`` lies in the hull. So ``|w - w*|²`` is at
most the gap, and as ``|phi(x)| = 1``, ``g`` is off by at most its square root anywhere. The upper bound that was left
out holds if ``nu n max(beta) <= 1``; the caller looks.

One-dimensional values and a wide kernel need few support vectors: sensors with more than eight are reported as not
solved. Arrays are padded to eight, and a shorter sensor's values with one of its own, which changes no optimum.

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
"""Largest duality gap of an optimum: the decision function of ``beta`` is then right within 3.2e-7."""

SLOTS = 8
"""Most support vectors of one sensor."""

_ROUNDS = 60

_RIDGE = 1e-14
"""Added to the kernel's diagonal: values closer than 1e-7 have the same row to double precision, and either will do."""


class Solution(NamedTuple):
    """What :func:`solve` found for each sensor.

    Attributes
    ----------
    support
        The support vectors in ascending order, those in use first, shape ``(n_sensors, SLOTS)``.
    beta
        Their weights, which sum to 1, shape ``(n_sensors, SLOTS)``; 0 where a slot is not in use.
    counts
        Number of slots in use, shape ``(n_sensors,)``.
    level
        ``w'w``: what ``g`` is at every support vector, shape ``(n_sensors,)``.
    certified
        Whether the duality gap, over all training values, is at most :data:`GAP`, shape ``(n_sensors,)``.
    """

    support: Floats
    beta: Floats
    counts: Integers
    level: Floats
    certified: Flags


def solve(points: Floats, gamma: float) -> Solution:
    """Return the least-norm weights of each row.

    Parameters
    ----------
    points
        Training values, standardised, one sensor a row, shape ``(n_sensors, n_values)``; the lowest and the highest of
        a row differ.
    gamma
        Of the kernel ``exp(-gamma (x - y)²)``.

    Examples
    --------
    >>> found = solve(np.array([[-1.0, 0.0, 1.0], [0.0, 0.5, 30.0]]), 0.01)
    >>> found.support[0, :2].tolist(), found.beta[0, :2].tolist(), bool(found.certified.all())
    ([-1.0, 1.0], [0.5, 0.5], True)
    """
    return _ActiveSets(points, gamma).run()


class _ActiveSets:
    """The state of all rows; the kernel against each support vector is computed once and kept."""

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
        """Certify rows that are optimal; add the most violating value to the others, and return them."""
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
        """Move the weights to the least point of the hull of the support set, letting values go on the way."""
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
        """Return the kernel between each row's support vectors, the identity in slots that are not in use."""
        support, used = self._support[rows], self._used[rows]
        distance = support[:, :, None] - support[:, None, :]
        kernels = np.exp(-self._gamma * distance * distance)
        kernels *= used[:, :, None] & used[:, None, :]
        diagonal = np.arange(SLOTS)
        kernels[:, diagonal, diagonal] = 1.0
        return kernels
