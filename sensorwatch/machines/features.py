"""Features of machines: one row for each machine and half-day.

There are two sets of columns. ``original`` is that of the original system: means and standard deviations of the signals
over 12, 24 and 36 hours, errors of the last 24 hours by type, days since the replacement of each component, the age of
the machine, and its model (one-hot). ``extended`` adds the deviation of each signal from the machine's own usual level,
in standard deviations of that machine, and errors of the last week. It helps because machines of one model differ: a
high value for one is normal for another.

Every window is ``(start, end]`` and ends at its sample; later data is never used. The original system rounded rolling
windows to half-days, so that a row included up to six hours after its time; this is not reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sensorwatch.machines.fleet import COMPONENTS, ERRORS, HALF_DAY_SECONDS, SIGNALS
from sensorwatch.machines.rolling import Moments, half_day_moments, merged, standard_deviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.machines.fleet import Events, Fleet, Floats, Ints

__all__ = ["HISTORY_SECONDS", "FeatureCounts", "FeatureSet", "FeatureTable", "feature_names", "make_features"]

FeatureSet = Literal["original", "extended"]
"""Set of columns that a model is trained on."""

_WINDOWS = {12: 1, 24: 2, 36: 3}
_SHIFTS = {"24h": (2, 0), "24h_before": (2, 2), "72h": (6, 0)}
"""Length of each span in half-days, and the number of half-days between its end and the sample."""
_USUAL_HALF_DAYS = 60
_USUAL_SKIP = 8
_WEEK_HALF_DAYS = 14
_DAY_SECONDS = 86_400
_DAYS_PER_YEAR = 365.25

HISTORY_SECONDS = (_USUAL_HALF_DAYS + _USUAL_SKIP) * HALF_DAY_SECONDS
"""Length of the telemetry before a sample that its features use, in seconds; replacements of any age are used."""


@dataclass(frozen=True, slots=True)
class FeatureCounts:
    """Numbers of requested samples by outcome.

    Attributes
    ----------
    rows
        Samples with features.
    silent
        Samples without features, because there are fewer than two readings in the 36 hours before.
    imputed_windows
        Windows of 12 or 24 hours with fewer than two readings, which are replaced by the next longer window.
    never_replaced
        Pairs of row and component without a known replacement, for which the age of the machine is used.
    """

    rows: int = 0
    silent: int = 0
    imputed_windows: int = 0
    never_replaced: int = 0

    def __add__(self, other: FeatureCounts) -> FeatureCounts:
        """Return the sums of the numbers."""
        return FeatureCounts(
            self.rows + other.rows,
            self.silent + other.silent,
            self.imputed_windows + other.imputed_windows,
            self.never_replaced + other.never_replaced,
        )


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of samples, ordered by (machine, sample).

    Attributes
    ----------
    names
        Names of the columns.
    machine
        Position of the machine in its fleet, shape ``(n_rows,)``, int64.
    sample
        End of the half-day, in half-days since 1970-01-01T00:00:00Z; shape ``(n_rows,)``, int64.
    values
        Shape ``(n_rows, n_columns)``, float64, all finite.
    counts
        Numbers of samples that were imputed or left out.
    """

    names: tuple[str, ...]
    machine: Ints
    sample: Ints
    values: Floats
    counts: FeatureCounts

    def rows(self, wanted: npt.NDArray[np.bool_]) -> FeatureTable:
        """Return the rows where the mask is true; its shape is ``(n_rows,)``."""
        return replace(self, machine=self.machine[wanted], sample=self.sample[wanted], values=self.values[wanted])


def feature_names(models: Sequence[str], feature_set: FeatureSet) -> tuple[str, ...]:
    """Return the names of the columns for machines of the given models.

    Examples
    --------
    >>> len(feature_names(["model1", "model2"], "original"))
    36
    """
    names = [f"{signal}_mean_{hours}h" for hours in _WINDOWS for signal in SIGNALS]
    names += [f"{signal}_std_{hours}h" for hours in _WINDOWS for signal in SIGNALS]
    names += [f"{error}_24h" for error in ERRORS]
    names += [f"{component}_days" for component in COMPONENTS]
    names += ["age", *(f"model={model}" for model in models)]
    if feature_set == "extended":
        names += [f"{signal}_shift_{span}" for span in _SHIFTS for signal in SIGNALS]
        names += [f"{error}_week" for error in ERRORS]
    return tuple(names)


def make_features(fleet: Fleet, models: Sequence[str], feature_set: FeatureSet, first: int, last: int) -> FeatureTable:
    """Compute the features of all machines.

    Parameters
    ----------
    fleet
        The fleet. Its telemetry must start :data:`HISTORY_SECONDS` before ``first``, or contain all of the history.
    models
        Models of machines that have a column; a machine of another model has zeros in these columns.
    feature_set
        Set of columns.
    first, last
        First and last sample (both inclusive), in half-days since 1970-01-01T00:00:00Z.
    """
    machines = len(fleet.machines.machine_id)
    samples = last - first + 1
    history = _USUAL_HALF_DAYS + _USUAL_SKIP if feature_set == "extended" else max(_WINDOWS.values())
    moments = half_day_moments(fleet.telemetry, machines, first - history, last)
    means, deviations, known, imputed = _windows(moments, history)
    days, unknown = _days_since_replaced(fleet, first, samples)
    errors = _error_counts(fleet.errors, machines, first - _WEEK_HALF_DAYS, last)
    columns = [means, deviations, _summed(errors, 2)[:, _WEEK_HALF_DAYS:], days, _about(fleet, models, samples)]
    if feature_set == "extended":
        columns += [_shifts(moments, history), _summed(errors, _WEEK_HALF_DAYS)[:, _WEEK_HALF_DAYS:]]
    machine, sample = np.nonzero(known)
    return FeatureTable(
        names=feature_names(models, feature_set),
        machine=machine.astype(np.int64),
        sample=sample.astype(np.int64) + first,
        values=np.concatenate([each[known] for each in columns], axis=1),
        counts=FeatureCounts(
            rows=len(machine),
            silent=int(known.size - len(machine)),
            imputed_windows=int(imputed[known].sum()),
            never_replaced=int(unknown[known].sum()),
        ),
    )


def _windows(moments: Moments, history: int) -> tuple[Floats, Floats, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return means and deviations of the windows, a mask of samples with features, and imputed windows."""
    means: list[Floats] = []
    deviations: list[Floats] = []
    imputed = np.zeros(moments.readings[:, history:].shape, np.int64)
    known = np.zeros_like(imputed, dtype=np.bool_)
    for half_days in sorted(_WINDOWS.values(), reverse=True):
        window = Moments(*(each[:, history:] for each in merged(moments, half_days)))
        enough = window.readings >= 2
        mean, deviation = window.mean, standard_deviation(window)
        if means:
            mean = np.where(enough[..., None], mean, means[0])
            deviation = np.where(enough[..., None], deviation, deviations[0])
            imputed += ~enough
        else:
            known = enough
        means.insert(0, mean)
        deviations.insert(0, deviation)
    return np.concatenate(means, axis=2), np.concatenate(deviations, axis=2), known, imputed


def _shifts(moments: Moments, history: int) -> Floats:
    """Return the deviations of the signals from the machine's own level, 0 if the level is not known yet."""
    usual = Moments(*(each[:, history:] for each in merged(moments, _USUAL_HALF_DAYS, _USUAL_SKIP)))
    spread = standard_deviation(usual)
    found = []
    for half_days, skip in _SHIFTS.values():
        now = Moments(*(each[:, history:] for each in merged(moments, half_days, skip)))
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = (now.mean - usual.mean) / spread
        found.append(np.where(np.isfinite(shift) & (now.readings > 0)[..., None], shift, 0.0))
    return np.concatenate(found, axis=2)


def _days_since_replaced(fleet: Fleet, first: int, samples: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    events = fleet.replacements
    latest = np.full((len(fleet.machines.machine_id), samples, len(COMPONENTS)), np.iinfo(np.int64).min)
    sample = -(-events.time // HALF_DAY_SECONDS) - first
    before = sample < samples
    at = (events.machine[before], np.maximum(sample[before], 0), events.kind[before])
    np.maximum.at(latest, at, events.time[before])
    latest = np.maximum.accumulate(latest, axis=1)
    known = latest > np.iinfo(np.int64).min
    times = (np.arange(first, first + samples) * HALF_DAY_SECONDS)[None, :, None]
    age_days = (fleet.machines.age * _DAYS_PER_YEAR)[:, None, None]
    days = np.where(known, (times - np.where(known, latest, 0)) / _DAY_SECONDS, age_days)
    return days, (~known).sum(axis=2)


def _error_counts(errors: Events, machines: int, first: int, last: int) -> Floats:
    samples = last - first + 1
    sample = -(-errors.time // HALF_DAY_SECONDS) - first
    inside = (sample >= 0) & (sample < samples)
    place = (errors.machine[inside].astype(np.int64) * samples + sample[inside]) * len(ERRORS) + errors.kind[inside]
    counts = np.bincount(place, minlength=machines * samples * len(ERRORS))
    return counts.reshape(machines, samples, len(ERRORS)).astype(np.float64)


def _summed(counts: Floats, half_days: int) -> Floats:
    """Return the sums over ``half_days`` up to each sample; exact, because counts are whole numbers."""
    total = np.cumsum(counts, axis=1)
    total[:, half_days:] -= total[:, :-half_days].copy()
    return total


def _about(fleet: Fleet, models: Sequence[str], samples: int) -> Floats:
    machines = fleet.machines
    one_hot = [[float(model == each) for each in models] for model in machines.model]
    about = np.column_stack([machines.age, np.array(one_hot).reshape(len(machines.model), len(models))])
    return np.repeat(about[:, None, :], samples, axis=1)
