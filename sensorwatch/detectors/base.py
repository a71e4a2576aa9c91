"""What a detector is: a model of one sensor's values, fitted and applied for many sensors at once.

A detector gives raw scores only; :mod:`sensorwatch.detectors.calibration` turns them into 0-100, a severity and a
decision.

**Memory.** Some detectors judge a window by those before it. What they need of these is a part of a sensor's
parameters, the field ``memory``, and says how far it goes (``as_of``). Windows after that continue from it; a series
that begins at or before it is scored as if nothing had come before it, and its first windows may then have no score. So
a model that was just fitted goes on where its training ended, and scoring window by window with :func:`follow` gives
the scores of scoring all at once. Memories are in the sensors' own units and do not depend on what else was fitted: a
new model of the same detector can go on with the memory of the former.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.detectors.calibration import Calibration, calibrate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

__all__ = [
    "MEMORY",
    "Calibrated",
    "Comparing",
    "Composed",
    "Continuing",
    "Deciding",
    "Detector",
    "Expected",
    "Expecting",
    "Fitted",
    "Followed",
    "FollowingExpectations",
    "Former",
    "Quick",
    "Remembering",
    "Represented",
    "Supervised",
    "anomalous",
    "calibration_of",
    "follow",
    "follow_expecting",
    "memory_times",
    "training_scores",
    "with_memory",
]

MEMORY = "memory"
"""Field of the parameters that holds what a detector remembers of the windows before those it is given."""

NEW_NORMAL_SECONDS = 21_600
"""Six hours: how long a lasting change is an alarm until it is normal."""

_NEVER = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fitting gave: one row of parameters per sensor, null where ``reasons`` says why there is no model.

    Attributes
    ----------
    params
        A struct per sensor, shape ``(n_sensors,)``; its fields are the detector's own.
    reasons
        Why a sensor could not be fitted, written for a person; None for a fitted one.
    raw
        The training windows' raw scores, where fitting comes upon them; None: :func:`training_scores` works them out.
    """

    params: pa.StructArray
    reasons: tuple[str | None, ...]
    raw: npt.NDArray[np.float64] | None = None


class Detector(Protocol):
    """One way to tell unusual values from usual ones; stateless, so one object serves every shard.

    Attributes
    ----------
    name
        What settings and model shards call it; a stored name always means the same arithmetic.
    threshold
        The highest raw score that is still normal, for every sensor; None: the calibration says it of each sensor, as
        the raw score that one normal window in a thousand exceeds.
    """

    name: str

    @property
    def threshold(self) -> float | None:
        """The highest raw score that is still normal."""
        ...

    def fit(self, series: Series) -> Fitted:
        """Fit one model per sensor.

        Only finite values are used. A sensor that can't be fitted gets a reason and disturbs no other; each sensor's
        parameters depend on its own values alone. ``series`` is not changed.
        """
        ...

    def score(self, params: pa.StructArray, series: Series) -> npt.NDArray[np.float64]:
        """Return raw scores, shape ``(n_values,)``: the higher, the more anomalous.

        NaN where the value is NaN, the sensor has no parameters, or too little is known of the windows before. A score
        depends on the parameters, the window and those before it, never on those after it. ``series`` is not changed.
        """
        ...

    def expected_range(self, params: pa.StructArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the lowest and the highest normal value of each sensor, each of shape ``(n_sensors,)``.

        NaN where a detector has no such range: one that looks at more than the value itself, or a model to which
        nothing is normal.
        """
        ...


@dataclass(frozen=True, slots=True)
class Former:
    """What is known of sensors before they are fitted anew; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    params
        Parameters of their models of the same detector, null where a sensor has none.
    weigh
        Whether what takes long may be found out anew; otherwise what the former model has of it stays.
    alike
        Sensors of the same number are alike: they may learn from each other.
    new_normal_seconds
        How long a lasting change is an alarm, where the detector was not given another time.
    """

    params: pa.StructArray
    weigh: npt.NDArray[np.bool_]
    alike: npt.NDArray[np.int64]
    new_normal_seconds: int = NEW_NORMAL_SECONDS

    @classmethod
    def kept(cls, params: pa.StructArray) -> Former:
        """Return former models of which everything stays that takes long."""
        return cls(params, np.zeros(len(params), np.bool_), np.arange(len(params)))


@runtime_checkable
class Continuing(Protocol):
    """A detector that takes over from former models what would take too long to find out at every fitting."""

    def fit_on(self, series: Series, former: Former) -> Fitted:
        """Fit one model per sensor, as :meth:`Detector.fit` does, and go on from the former ones."""
        ...


@runtime_checkable
class Deciding(Protocol):
    """A detector with a threshold of its own that decides faster than it scores."""

    def anomalous(self, params: pa.StructArray, series: Series) -> npt.NDArray[np.bool_]:
        """Return whether each raw score is above the threshold, shape ``(n_values,)``; False for NaN."""
        ...


@runtime_checkable
class Supervised(Protocol):
    """A detector that learns from labels: fitting it needs a series that has some."""

    learns_from_labels: Literal[True]


class Followed(NamedTuple):
    """What going through a series gave.

    Attributes
    ----------
    raw
        Raw scores, as :meth:`Detector.score` returns them, shape ``(n_values,)``.
    memory
        Memories after the series, shape ``(n_sensors,)``; those of sensors without windows as they were.
    """

    raw: npt.NDArray[np.float64]
    memory: pa.StructArray


@runtime_checkable
class Remembering(Protocol):
    """A detector that judges a window by those before it."""

    def follow(self, params: pa.StructArray, series: Series) -> Followed:
        """Return the scores of a series and the memories after it, in one pass."""
        ...


@dataclass(frozen=True, slots=True)
class Expected:
    """What a window's value was expected to be, and from where to where it would have been normal.

    Attributes
    ----------
    value, low, high
        Each of shape ``(n_values,)``, NaN where there is no score. All values are NaN of a detector to which none is
        likelier than another within the band.
    """

    value: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


@runtime_checkable
class Expecting(Protocol):
    """A detector that expects a value, which may differ from window to window.

    One that is made of others (:class:`Composed`) has the band that follows from theirs: what it finds anomalous may
    lie within.
    """

    def expected(self, params: pa.StructArray, series: Series, threshold: npt.NDArray[np.float64]) -> Expected:
        """Return the expected values, and the band in which raw scores are at most ``threshold`` of each sensor.

        ``threshold`` has shape ``(n_sensors,)``.
        """
        ...


@runtime_checkable
class FollowingExpectations(Protocol):
    """A detector that remembers and expects, and does both in one pass for less than one after the other."""

    def follow_expecting(
        self, params: pa.StructArray, series: Series, threshold: npt.NDArray[np.float64]
    ) -> tuple[Followed, Expected]:
        """Return what :meth:`Remembering.follow` and :meth:`Expecting.expected` do."""
        ...


@runtime_checkable
class Comparing(Protocol):
    """A detector that knows usual patterns, and so which one a window and those before it come nearest to.

    Attributes
    ----------
    size
        Windows of a pattern, the last being the window itself.
    """

    size: int

    def steps(self, params: pa.StructArray) -> npt.NDArray[np.int64]:
        """Return the seconds between windows of each sensor's patterns, shape ``(n_sensors,)``; 0 without a model."""
        ...

    def nearest_patterns(self, params: pa.StructArray, series: Series) -> npt.NDArray[np.float64]:
        """Return the nearest usual pattern of each window, in the sensor's unit, oldest value first.

        Shape ``(n_values, size)``; NaN where there is no score.
        """
        ...


@runtime_checkable
class Composed(Protocol):
    """A detector that is made of others."""

    def parts(self, params: pa.StructArray) -> Mapping[str, tuple[Detector, pa.StructArray]]:
        """Return the members of any of the sensors by name, with their parameters; null where a sensor has it not."""
        ...

    def member_rarities(self, params: pa.StructArray, series: Series) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return how rare each member finds each window, shape ``(n_values,)``; NaN where it can't say."""
        ...

    def weights(self, params: pa.StructArray) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return the members' weights, shape ``(n_sensors,)``; NaN for what is no member."""
        ...


@runtime_checkable
class Calibrated(Protocol):
    """A detector whose raw scores are rarities (:mod:`sensorwatch.detectors.calibration`) already."""

    rarities: bool


class Quick(NamedTuple):
    """A detector that answers in real time for another one.

    Attributes
    ----------
    detector
        It looks at a window alone.
    params
        Its parameters, null where it can't stand in, shape ``(n_sensors,)``.
    calibration
        How its raw scores are read.
    """

    detector: Detector
    params: pa.StructArray
    calibration: Calibration


@runtime_checkable
class Represented(Protocol):
    """A detector that looks back farther, and takes longer, than real time allows."""

    def quick(self, params: pa.StructArray) -> Quick | None:
        """Return what stands in for it in real time; None where nothing in it can."""
        ...


def calibration_of(detector: Detector, raw: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]) -> Calibration:
    """Return how a detector's raw scores are read.

    Parameters
    ----------
    detector
        Whose they are.
    raw, offsets
        Raw scores of training windows, as :func:`sensorwatch.detectors.calibration.calibrate` takes them.
    """
    if isinstance(detector, Calibrated):
        return Calibration.of_rarities(len(offsets) - 1)
    return calibrate(raw, offsets, detector.threshold)


def training_scores(detector: Detector, fitted: Fitted, series: Series) -> npt.NDArray[np.float64]:
    """Return the raw scores of the windows that a detector was fitted on, shape ``(n_values,)``."""
    return detector.score(fitted.params, series) if fitted.raw is None else fitted.raw


def follow(
    detector: Detector, params: pa.StructArray, series: Series
) -> tuple[npt.NDArray[np.float64], pa.StructArray]:
    """Return raw scores, and the parameters with which scoring goes on; the same for a detector without memory."""
    if not isinstance(detector, Remembering):
        return detector.score(params, series), params
    raw, memory = detector.follow(params, series)
    return raw, with_memory(params, memory)


def follow_expecting(
    detector: Detector, params: pa.StructArray, series: Series, threshold: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], pa.StructArray | None, Expected | None]:
    """Return raw scores, memories and what was expected, in the fastest way that there is.

    The memories are None of a detector without, as is what one expects that expects nothing.
    """
    if isinstance(detector, FollowingExpectations):
        (raw, memory), expected = detector.follow_expecting(params, series, threshold)
        return raw, memory, expected
    raw, memory = (
        detector.follow(params, series) if isinstance(detector, Remembering) else (detector.score(params, series), None)
    )
    return raw, memory, detector.expected(params, series, threshold) if isinstance(detector, Expecting) else None


def with_memory(params: pa.StructArray, memory: pa.StructArray) -> pa.StructArray:
    """Return the parameters with other memories, shape ``(n_sensors,)``."""
    fields = [memory if field.name == MEMORY else params.field(field.name) for field in params.type]
    return pa.StructArray.from_arrays(fields, fields=list(params.type), mask=params.is_null())


def memory_times(params: pa.StructArray) -> npt.NDArray[np.int64]:
    """Return how far each sensor's memory goes, shape ``(n_sensors,)``, in seconds since 1970-01-01T00:00:00Z.

    It is the end of the last window that it knows; the lowest integer where there is no memory or no model.
    """
    if params.type.get_field_index(MEMORY) < 0:
        return np.full(len(params), _NEVER)
    times = pc.fill_null(params.field(MEMORY).field("as_of"), _NEVER).to_numpy(zero_copy_only=False)
    return np.where(params.is_valid().to_numpy(zero_copy_only=False), times, _NEVER)


def anomalous(
    detector: Detector, params: pa.StructArray, series: Series, threshold: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return a detector's decisions, shape ``(n_values,)``, in the fastest way that it has.

    Parameters
    ----------
    detector, params, series
        What decides on what.
    threshold
        The highest raw score of each sensor that is still normal, shape ``(n_sensors,)``.
    """
    if isinstance(detector, Deciding):
        return detector.anomalous(params, series)
    return np.asarray(detector.score(params, series) > np.repeat(threshold, series.lengths))
