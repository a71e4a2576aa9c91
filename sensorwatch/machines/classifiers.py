"""Classifiers: fitting by recipe, probabilities, and decisions.

==========  ==========  ====================================================================================
Recipe      Features    Description
==========  ==========  ====================================================================================
boosted     extended    Default. Gradient-boosted trees for each component, with class weights; each component
                        warns above its own threshold, which is calibrated on later samples.
forest      original    Original system: random forest of 200 trees of depth 15; the most likely class wins.
tree        original    Original system: decision tree of depth 15; the most likely class wins.
==========  ==========  ====================================================================================

Class weights make the rare failures count as much as the healthy samples. This raises the estimated probabilities of
failures. They are corrected by dividing the odds by the ratio of the weights (Elkan, *The Foundations of Cost-Sensitive
Learning*, 2001), so that of components with a risk of 0.3, three in ten fail within the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from sensorwatch.machines.fleet import COMPONENTS
from sensorwatch.machines.labels import HEALTHY

if TYPE_CHECKING:
    import numpy.typing as npt
    from threadpoolctl import threadpool_limits

    from sensorwatch.machines.features import FeatureSet
    from sensorwatch.machines.fleet import Floats, Ints

    Bools = npt.NDArray[np.bool_]

__all__ = [
    "BOOTSTRAP_ROWS",
    "RECIPES",
    "Classifier",
    "Decisions",
    "Recipe",
    "decide",
    "feature_set_of",
    "fit_classifier",
]

Recipe = Literal["boosted", "forest", "tree"]
"""Name of a classifier with its features and thresholds."""

RECIPES: tuple[Recipe, ...] = get_args(Recipe)

_FEATURES: dict[Recipe, FeatureSet] = {"boosted": "extended", "forest": "original", "tree": "original"}
_FOREST_TREES = 200
_DEPTH = 15
_BOOSTING_ROUNDS = 100
BOOTSTRAP_ROWS = 60_000
"""Maximum number of rows for each tree of a forest; all rows of a large fleet take hours and change little."""

_HEALTHY_ROWS = 100_000
"""Maximum number of healthy samples for boosting; their weights sum to the number of all healthy samples."""

_LEVELS = 200
"""Maximum number of distinct values of a column for boosting, whose limit is 255 bins."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Fitted estimators: either one for all classes, or one for each component.

    Attributes
    ----------
    recipe
        Recipe that it was fitted by.
    estimators
        scikit-learn classifiers; None for a component that never fails in the training data.
    odds
        Factor by which class weights have raised the odds of each component; empty for one estimator of all classes.
    """

    recipe: Recipe
    estimators: tuple[Any, ...]
    odds: tuple[float, ...] = ()

    def probabilities(self, values: Floats) -> Floats:
        """Return the probability that each component fails within the horizon, shape ``(n_rows, 4)``."""
        found = np.zeros((len(values), len(COMPONENTS)))
        if not len(values):
            return found
        with _one_thread():
            self._fill(found, values)
        return found

    def _fill(self, found: Floats, values: Floats) -> None:
        if not self.odds:
            (estimator,) = self.estimators
            given = estimator.predict_proba(values)
            for column, each in enumerate(estimator.classes_.tolist()):
                if each != HEALTHY:
                    found[:, each - 1] = given[:, column]
            return
        for component, (estimator, odds) in enumerate(zip(self.estimators, self.odds, strict=True)):
            if estimator is not None:
                raised = estimator.predict_proba(values)[:, 1]
                found[:, component] = raised / (raised + odds * (1 - raised))


class Decisions(NamedTuple):
    """Decisions of a model for samples.

    ``risk`` is the probability of a failure within the horizon, float64 of shape ``(n_rows, 4)``. ``warns``, bool of
    the same shape, is true for a warning. ``predicted``, int8 of shape ``(n_rows,)``, is a single class: the component
    with the highest risk relative to its threshold, or healthy.
    """

    risk: Floats
    warns: Bools
    predicted: npt.NDArray[np.int8]


def feature_set_of(recipe: Recipe) -> FeatureSet:
    """Return the set of columns that a recipe is fitted on."""
    return _FEATURES[recipe]


def decide(risk: Floats, thresholds: Floats | None) -> Decisions:
    """Decide which components warn.

    Parameters
    ----------
    risk
        Probability that each component fails within the horizon, shape ``(n_rows, 4)``, float64.
    thresholds
        Lowest risk at which each component warns, shape ``(4,)``, float64. None: only the most likely class warns, and
        only if it is more likely than healthy.
    """
    if thresholds is None:
        likeliest = risk.argmax(axis=1)
        # Ties go to the first class, as in scikit-learn: healthy.
        fails = risk[np.arange(len(risk)), likeliest] > 1 - risk.sum(axis=1)
        predicted = np.where(fails, likeliest + 1, HEALTHY).astype(np.int8)
        return Decisions(risk, predicted[:, None] == np.arange(1, len(COMPONENTS) + 1), predicted)
    warns = risk >= thresholds
    strongest = (risk / thresholds).argmax(axis=1)
    predicted = np.where(warns.any(axis=1), strongest + 1, HEALTHY).astype(np.int8)
    return Decisions(risk, warns, predicted)


def fit_classifier(
    recipe: Recipe,
    values: Floats,
    first_failing: npt.NDArray[np.int8],
    fails: Bools,
    *,
    seed: int,
    jobs: int,
    rounds: int | None = None,
) -> Classifier:
    """Fit a classifier.

    Parameters
    ----------
    recipe
        Kind of classifier.
    values
        Features, shape ``(n_rows, n_columns)``, float64.
    first_failing
        Class of each row: 0 for healthy, i + 1 if component i fails first; shape ``(n_rows,)``, int8.
    fails
        True for each component that fails within the horizon, shape ``(n_rows, 4)``, bool.
    seed
        Seed; equal seeds and rows give equal classifiers.
    jobs
        Number of threads of a forest.
    rounds
        Number of trees of a forest, or of boosting rounds; None for the default of the recipe.
    """
    if recipe == "boosted":
        return _fit_boosted(values, fails, seed, rounds or _BOOSTING_ROUNDS)
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    if recipe == "tree":
        estimator: Any = DecisionTreeClassifier(max_depth=_DEPTH, random_state=seed)
    else:
        rows = min(BOOTSTRAP_ROWS, len(values))
        estimator = RandomForestClassifier(
            rounds or _FOREST_TREES, max_depth=_DEPTH, max_samples=rows, random_state=seed, n_jobs=jobs
        )
    return Classifier(recipe, (estimator.fit(values, first_failing),))


def _fit_boosted(values: Floats, fails: Bools, seed: int, rounds: int) -> Classifier:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows, weight = _thinned(np.asarray(fails.any(axis=1)), seed)
    coarse = _to_levels(values[rows])
    estimators: list[Any] = []
    odds: list[float] = []
    for component in range(len(COMPONENTS)):
        target = fails[rows, component]
        failing, healthy = float(weight[target].sum()), float(weight[~target].sum())
        if not failing or not healthy:
            estimators.append(None)
            odds.append(1.0)
            continue
        estimator = HistGradientBoostingClassifier(
            learning_rate=0.08,
            max_iter=rounds,
            max_leaf_nodes=15,
            min_samples_leaf=50,
            l2_regularization=5.0,
            max_features=0.5,
            early_stopping=False,
            random_state=seed,
        )
        balanced = weight * np.where(target, healthy / failing, 1.0)
        with _one_thread():
            estimators.append(estimator.fit(coarse, target, sample_weight=balanced))
        odds.append(healthy / failing)
    return Classifier("boosted", tuple(estimators), tuple(odds))


def _to_levels(values: Floats) -> Floats:
    """Return values rounded to the nearest of 200 quantiles in each column with more distinct values.

    Boosting puts values into bins anyway. For weighted rows it sorts all of them for each bin, which takes minutes,
    unless the column has few distinct values.
    """
    quantiles = np.quantile(values, np.linspace(0.0, 1.0, _LEVELS), axis=0)
    found = np.empty_like(values)
    for column in range(values.shape[1]):
        given = values[:, column]
        levels = np.unique(given)
        if len(levels) > _LEVELS:
            levels = np.unique(quantiles[:, column])
        found[:, column] = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, given)]
    return found


def _one_thread() -> threadpool_limits:
    """Return a context in which boosting uses one thread.

    Several threads wait for each other at every node of a tree, which costs more than it saves if a core is shared.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")


def _thinned(failing: Bools, seed: int) -> tuple[Ints, Floats]:
    """Return rows to fit on with their weights: all rows before failures, and a random sample of healthy rows."""
    healthy = np.flatnonzero(~failing)
    if len(healthy) > _HEALTHY_ROWS:
        kept = np.sort(np.random.default_rng(seed).choice(healthy, _HEALTHY_ROWS, replace=False))
    else:
        kept = healthy
    rows = np.sort(np.concatenate([np.flatnonzero(failing), kept]))
    return rows, np.where(failing[rows], 1.0, len(healthy) / max(len(kept), 1))
