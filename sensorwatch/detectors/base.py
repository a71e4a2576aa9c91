"""The contract of a detector: a model of one sensor's values, fitted and applied for many sensors at once.

A new detector is one file with a subclass of :class:`Detector`, which has two methods to write (``fit`` and ``score``),
and one line in :mod:`sensorwatch.detectors.factory`. Everything else has a default.

Detectors return raw scores only. :mod:`sensorwatch.detectors.calibration` turns them into a score of 0-100, a severity
and a decision.

**Checkpoints.** A :class:`StatefulDetector` judges a window by the windows before it. Its state is a checkpoint: the
field ``memory`` of a sensor's parameters, which includes the time up to which it is valid (``as_of``). Windows after
that time continue from the checkpoint. A series that begins at or before it is scored as if nothing had come before;
its first windows may then have no score. So a model that was just fitted continues where its training ended, and
scoring window by window with :meth:`Detector.advance` gives the same scores as scoring all windows at once. Checkpoints
are in the sensors' own units and independent of everything else that was fitted. A new model of the same detector can
therefore continue from the checkpoint of the previous model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.config.detectors import NO_PARAMETERS
from sensorwatch.detectors.calibration import Calibration, calibrate
from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.windows import BEFORE_ALL_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "CHECKPOINT",
    "Advanced",
    "Detector",
    "Expected",
    "Fitted",
    "NearestPatterns",
    "StatefulDetector",
    "Surrogate",
    "calibration_of",
    "checkpoint_times",
    "continues",
    "fit_each",
    "training_scores",
    "with_checkpoint",
]

CHECKPOINT = "memory"
"""Name of the parameters' field with the checkpoint, as stored in model files."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Result of fitting: one row of parameters per sensor, null where ``reasons`` explains why there is no model.

    Attributes
    ----------
    params
        One struct per sensor, shape ``(n_sensors,)``. The fields differ between detectors.
    reasons
        Why a sensor could not be fitted, as a message for people; None for a fitted sensor.
    raw
        Raw scores of the training windows, shape ``(n_values,)``, if fitting computes them anyway. None:
        :func:`training_scores` computes them.
    """

    params: pa.StructArray
    reasons: tuple[str | None, ...]
    raw: Floats | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected values of windows, and the bands in which their values are normal.

    Attributes
    ----------
    value, low, high
        Shape ``(n_values,)``; NaN where a window has no score. ``value`` is NaN throughout for a detector to which no
        value within the band is likelier than another.
    """

    value: Floats
    low: Floats
    high: Floats


class Advanced(NamedTuple):
    """Result of advancing through a series.

    Attributes
    ----------
    raw
        Raw scores, as :meth:`Detector.score` returns them, shape ``(n_values,)``.
    checkpoint
        Checkpoints after the series, shape ``(n_sensors,)``. A sensor without windows keeps its checkpoint. None for a
        detector without state.
    expected
        Expected values, if they were asked for and the detector has any.
    """

    raw: Floats
    checkpoint: pa.StructArray | None = None
    expected: Expected | None = None


class NearestPatterns(NamedTuple):
    """Known normal patterns that come nearest to windows and the windows before them.

    Attributes
    ----------
    values
        In the sensor's unit, oldest value first, shape ``(n_values, size)``. The last value belongs to the window
        itself. NaN where a window has no score.
    step_seconds
        Time between two values of a pattern, shape ``(n_sensors,)``; 0 for a sensor without a model.
    """

    values: Floats
    step_seconds: Integers


class Surrogate(NamedTuple):
    """Fast detector that scores in real time in place of a slower one.

    Attributes
    ----------
    detector
        A detector without state.
    params
        Its parameters, shape ``(n_sensors,)``; null for a sensor that it can't score.
    calibration
        Calibration of its raw scores.
    """

    detector: Detector
    params: pa.StructArray
    calibration: Calibration


class Detector(ABC):
    """A way to tell anomalous values from normal ones.

    Detectors keep no state in the object: one object serves every shard.

    Attributes
    ----------
    name
        Name in settings and model files. A stored name always means the same arithmetic.
    threshold
        Highest raw score that is normal, for every sensor. None: calibration determines it for each sensor, as the raw
        score that one normal window in a thousand exceeds.
    learns_from_labels
        Whether fitting needs a series with labels.
    scores_are_rarities
        Whether raw scores are rarities (:mod:`sensorwatch.detectors.calibration`) already.
    has_bands
        Whether :meth:`expected` returns expected values or bands.

    Examples
    --------
    >>> from sensorwatch.detectors.windowing.series import Series
    >>> from sensorwatch.detectors.windowing.summary import Summary
    >>> class Highest(Detector):
    ...     name = "highest"
    ...     threshold = 0.0
    ...
    ...     def fit(self, series):
    ...         finite, kind = series.finite(), pa.struct({"highest": pa.float64()})
    ...         return fit_each(finite, lambda one: {"highest": one.values.max()}, kind, Summary.of(finite).reasons())
    ...
    ...     def score(self, params, series):
    ...         highest = pc.struct_field(params, "highest").to_numpy(zero_copy_only=False)
    ...         return series.values - np.repeat(highest, series.lengths)
    >>> series = Series(np.array([0, 2, 3]), np.array([5, 10, 5]), np.array([1.0, 4.0, 9.0]))
    >>> fitted = Highest().fit(series)
    >>> fitted.reasons
    (None, 'a model needs at least 2 finite values, got 1')
    >>> Highest().score(fitted.params, series).tolist()
    [-3.0, 0.0, nan]
    """

    name: str
    threshold: float | None = None
    learns_from_labels: ClassVar[bool] = False
    scores_are_rarities: ClassVar[bool] = False
    has_bands: ClassVar[bool] = False

    @abstractmethod
    def fit(self, series: Series) -> Fitted:
        """Fit one model per sensor.

        Only finite values are used. A sensor that can't be fitted gets a reason and does not affect the others; each
        sensor's parameters depend on its own values alone. ``series`` is not changed.
        """

    @abstractmethod
    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return raw scores, shape ``(n_values,)``: the higher, the more anomalous.

        NaN where the value is NaN, the sensor has no parameters, or too few windows came before. A score depends on the
        parameters, the window and the windows before it, never on later ones. ``series`` is not changed.
        """

    def with_parameters(self, specification: str, policy: EstimatorPolicy) -> Detector:
        """Return this detector with other parameters. The default is for a detector that takes none.

        Parameters
        ----------
        specification
            Parameters as JSON; they matter to fitting only.
        policy
            Estimators that may be made and loaded.

        Raises
        ------
        InvalidInputError
            The detector takes no parameters, or a parameter is unknown or out of range.
        """
        del policy
        if specification != NO_PARAMETERS:
            raise InvalidInputError(f"the detector `{self.name}` takes no parameters, got {specification}")
        return self

    def anomalous(self, params: pa.StructArray, series: Series, threshold: Floats) -> Flags:
        """Return whether each window is anomalous, shape ``(n_values,)``; False where it has no score.

        Parameters
        ----------
        params, series
            As for :meth:`score`.
        threshold
            Highest normal raw score of each sensor, shape ``(n_sensors,)``. A detector with a threshold of its own may
            assume that it is that one.
        """
        return np.asarray(self.score(params, series) > np.repeat(threshold, series.lengths))

    def expected_range(self, params: pa.StructArray) -> tuple[Floats, Floats]:
        """Return the lowest and the highest normal value of each sensor, each of shape ``(n_sensors,)``.

        NaN where there is no such range: the detector considers more than the value itself, or to a model no value is
        normal.
        """
        return np.full(len(params), np.nan), np.full(len(params), np.nan)

    def expected(self, params: pa.StructArray, series: Series, threshold: Floats) -> Expected | None:
        """Return expected values that may differ between windows; None if the detector has none.

        Parameters
        ----------
        params, series
            As for :meth:`score`.
        threshold
            The band holds the values whose raw score is at most this, shape ``(n_sensors,)``. A composite detector
            returns the mean of its members' bands instead: an anomalous value may lie within it.
        """
        del params, series, threshold
        return None

    def advance(self, params: pa.StructArray, series: Series, threshold: Floats | None = None) -> Advanced:
        """Return raw scores, the checkpoints after the series and, if asked for, expected values in one pass.

        Parameters
        ----------
        params, series
            As for :meth:`score`.
        threshold
            As for :meth:`expected`; None: expected values are not needed.
        """
        expected = None if threshold is None else self.expected(params, series, threshold)
        return Advanced(self.score(params, series), expected=expected)

    def nearest_patterns(self, params: pa.StructArray, series: Series) -> NearestPatterns | None:
        """Return the normal pattern nearest to each window; None if the detector has no patterns."""
        del params, series
        return None

    def surrogate(self, params: pa.StructArray) -> Surrogate | None:
        """Return the detector that scores in place of this one in real time; None if this one is fast enough."""
        del params
        return None


class StatefulDetector(Detector):
    """A detector that judges a window by the windows before it; its parameters include a checkpoint."""

    @abstractmethod
    def advance(self, params: pa.StructArray, series: Series, threshold: Floats | None = None) -> Advanced:
        """Return scores, checkpoints and, if asked for, expected values; see :meth:`Detector.advance`."""


def fit_each(
    series: Series,
    fit_one: Callable[[Series], Mapping[str, object]],
    kind: pa.DataType,
    reasons: Sequence[str | None] | None = None,
) -> Fitted:
    """Fit the sensors one after the other.

    Parameters
    ----------
    series
        Training windows.
    fit_one
        Returns the parameters of one sensor, or raises InvalidInputError with the reason why it can't.
    kind
        Type of the parameters.
    reasons
        Why some sensors can't be fitted, None for the others; they are not passed to ``fit_one``.
    """
    rows: list[Mapping[str, object] | None] = [None] * series.n_sensors
    found: list[str | None] = list(reasons or [None] * series.n_sensors)
    for i, reason in enumerate(found):
        if reason is None:
            try:
                rows[i] = fit_one(series.part(i, i + 1))
            except InvalidInputError as exc:
                found[i] = str(exc)
    return Fitted(pa.array(rows, kind), tuple(found))


def calibration_of(detector: Detector, raw: Floats, offsets: Integers) -> Calibration:
    """Return the calibration of a detector's raw scores.

    Parameters
    ----------
    detector
        Detector that returned the scores.
    raw
        Raw scores of the training windows, one sensor after the other, shape ``(n_values,)``; NaN is skipped.
    offsets
        Where each sensor's scores begin, shape ``(n_sensors + 1,)``.
    """
    if detector.scores_are_rarities:
        return Calibration.of_rarities(len(offsets) - 1)
    return calibrate(raw, offsets, detector.threshold)


def training_scores(detector: Detector, fitted: Fitted, series: Series) -> Floats:
    """Return the raw scores of the windows that a detector was fitted on, shape ``(n_values,)``.

    Parameters
    ----------
    detector
        The detector.
    fitted
        Result of fitting it.
    series
        Windows that it was fitted on.
    """
    return detector.score(fitted.params, series) if fitted.raw is None else fitted.raw


def with_checkpoint(params: pa.StructArray, checkpoint: pa.StructArray) -> pa.StructArray:
    """Return parameters with their checkpoints replaced, shape ``(n_sensors,)``."""
    fields = [checkpoint if field.name == CHECKPOINT else params.field(field.name) for field in params.type]
    return pa.StructArray.from_arrays(fields, fields=list(params.type), mask=params.is_null())


def checkpoint_times(params: pa.StructArray) -> Integers:
    """Return the time of each sensor's checkpoint, shape ``(n_sensors,)``, in seconds since 1970-01-01T00:00:00Z.

    The time is the end of the last window that the checkpoint includes. It is ``BEFORE_ALL_WINDOWS``, the lowest int64,
    for a sensor without a checkpoint or without a model.
    """
    if params.type.get_field_index(CHECKPOINT) < 0:
        return np.full(len(params), BEFORE_ALL_WINDOWS)
    times = pc.fill_null(params.field(CHECKPOINT).field("as_of"), BEFORE_ALL_WINDOWS).to_numpy(zero_copy_only=False)
    return np.where(params.is_valid().to_numpy(zero_copy_only=False), times, BEFORE_ALL_WINDOWS)


def continues(params: pa.StructArray, series: Series) -> Flags:
    """Return whether each sensor's windows begin after its checkpoint, shape ``(n_sensors,)``; True without windows."""
    begin = np.full(series.n_sensors, np.iinfo(np.int64).max)
    filled = np.flatnonzero(series.lengths)
    begin[filled] = series.times[series.offsets[filled]]
    return np.asarray(begin > checkpoint_times(params))
