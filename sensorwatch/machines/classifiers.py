"""The classifiers: how a recipe is fitted, and what it says of samples.

==========  ==========  ====================================================================================
Recipe      Features    What it is
==========  ==========  ====================================================================================
boosted     extended    The default. Gradient-boosted trees for each component, with class weights; a component
                        warns above a threshold of its own that is calibrated on later samples.
forest      original    The original system's: a random forest of 200 trees of depth 15; the likeliest class.
tree        original    The original system's other one: a decision tree of depth 15; the likeliest class.
==========  ==========  ====================================================================================

Class weights make the rare failures count as much as the healthy samples, and so make every failure look likelier than
it is: the odds are divided by the ratio of the weights again (Elkan, *The Foundations of Cost-Sensitive Learning*,
2001), so that a risk of 0.3 means that three of ten such components fail within the horizon.
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
"""The name of a way to make a model."""

RECIPES: tuple[Recipe, ...] = get_args(Recipe)

_FEATURES: dict[Recipe, FeatureSet] = {"boosted": "extended", "forest": "original", "tree": "original"}
_FOREST_TREES = 200
_DEPTH = 15
_BOOSTING_ROUNDS = 100
BOOTSTRAP_ROWS = 60_000
"""Rows that each tree of a forest is grown on at most: all rows of a large fleet cost hours and change little."""

_HEALTHY_ROWS = 100_000
"""Healthy samples that boosting looks at, at most; those it does look at weigh as much as all."""

_LEVELS = 200
"""Different values of a column that boosting sees, at most; it can tell 255 apart."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Fitted estimators: one of several classes, or one per component that knows of that component only.

    Attributes
    ----------
    odds
        By how much class weights have raised the odds of each component; empty for an estimator of several classes.
    """

    recipe: Recipe
    estimators: tuple[Any, ...]
    odds: tuple[float, ...] = ()

    def probabilities(self, values: Floats) -> Floats:
        """Return how likely each component fails within the horizon, shape ``(n_rows, 4)``."""
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
    """What a model says of samples.

    ``risk`` is the probability of a failure within the horizon, shape ``(n_rows, 4)``; ``warns`` of the same shape is
    whether that is worth a warning; ``predicted`` of shape ``(n_rows,)`` is the one class: the component that warns
    most, or healthy.
    """

    risk: Floats
    warns: Bools
    predicted: npt.NDArray[np.int8]


def feature_set_of(recipe: Recipe) -> FeatureSet:
    """Return the columns that a recipe is fitted on."""
    return _FEATURES[recipe]


def decide(risk: Floats, thresholds: Floats | None) -> Decisions:
    """Return what follows from risks.

    Parameters
    ----------
    risk
        Shape ``(n_rows, 4)``.
    thresholds
        A component warns at this risk or above, shape ``(4,)``. None: the likeliest class, healthy among them, is the
        only one that may warn.
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
    """Return a fitted classifier.

    Parameters
    ----------
    values
        Features, shape ``(n_rows, n_columns)``.
    first_failing
        Each row's class, shape ``(n_rows,)``.
    fails
        Which components fail within the horizon, shape ``(n_rows, 4)``.
    seed
        Equal seeds and rows give equal classifiers.
    jobs
        Threads of a forest.
    rounds
        Trees of a forest, or rounds of boosting; None: the recipe's own number.
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
    """Return values with those of each column moved to the nearest of its quantiles, where it has more values.

    Boosting puts columns into bins anyway. It finds the bins of weighted rows by sorting all of them anew for each one,
    which takes minutes, but takes the values of a column that has few as they are.
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
    """Return a context in which boosting takes one thread.

    Several wait for each other at every node of a tree, which costs more than it brings wherever a core is shared.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")


def _thinned(failing: Bools, seed: int) -> tuple[Ints, Floats]:
    """Return rows to fit on with their weights: all before failures, and of the healthy ones as many as are allowed."""
    healthy = np.flatnonzero(~failing)
    if len(healthy) > _HEALTHY_ROWS:
        kept = np.sort(np.random.default_rng(seed).choice(healthy, _HEALTHY_ROWS, replace=False))
    else:
        kept = healthy
    rows = np.sort(np.concatenate([np.flatnonzero(failing), kept]))
    return rows, np.where(failing[rows], 1.0, len(healthy) / max(len(kept), 1))
