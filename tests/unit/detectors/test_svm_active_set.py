from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.detectors.svm import active_set

GAMMA = 0.01


def gap(points: np.ndarray, found: active_set.Solution) -> np.ndarray:
    """Return the duality gaps, computed anew from nothing but the answer."""
    kernel = np.exp(-GAMMA * (points[:, :, None] - found.support[:, None, :]) ** 2)
    g = (kernel * found.beta[:, None, :]).sum(axis=2)
    among = np.exp(-GAMMA * (found.support[:, :, None] - found.support[:, None, :]) ** 2)
    level = np.einsum("mi,mij,mj->m", found.beta, among, found.beta)
    return np.asarray(level - g.min(axis=1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 300), st.floats(-9, 1.4))
def test_standardised_sensors_are_solved_and_certified(seed: int, size: int, magnitude: float) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(8, size)) * 10**magnitude
    points[:, :3][:, : min(3, size)] += random.normal(0, 20, size=(8, min(3, size)))
    points = (points - points.mean(axis=1, keepdims=True)) / points.std(axis=1, keepdims=True)
    found = active_set.solve(points, GAMMA)
    assert found.certified.all()
    assert (found.beta >= 0).all()
    np.testing.assert_allclose(found.beta.sum(axis=1), 1.0, rtol=1e-12)
    assert (gap(points, found) <= 2 * active_set.GAP).all()


@pytest.mark.parametrize("width", [0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3])
def test_values_that_are_nearly_equal_are_trained_and_scored(width: float) -> None:
    bulk = np.linspace(-width, width, 700)
    points = np.concatenate((bulk, [-13.0, 12.5]))[None]
    found = active_set.solve(points, GAMMA)
    assert found.certified.all()
    assert gap(points, found)[0] <= 2 * active_set.GAP


def test_more_support_vectors_than_slots_are_not_certified() -> None:
    found = active_set.solve(np.linspace(0, 500, 300)[None], GAMMA)
    assert not found.certified.any()


def test_a_row_does_not_depend_on_the_others() -> None:
    points = np.random.default_rng(2).standard_t(2, size=(20, 200)) * 3
    together = active_set.solve(points, GAMMA)
    for i in range(len(points)):
        alone = active_set.solve(points[i : i + 1], GAMMA)
        np.testing.assert_allclose(alone.support[0], together.support[i], rtol=0, atol=1e-12)
        np.testing.assert_allclose(alone.beta[0], together.beta[i], rtol=0, atol=1e-9)
