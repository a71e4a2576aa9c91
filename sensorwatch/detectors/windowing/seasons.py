"""Seasons: the part of a sensor's values that follows the time of day or of the week.

The profile of a season has the median at each of up to 288 times of the day, or 336 of the week, by local time, so that
it follows daylight saving. Between these times it is interpolated linearly. A season is used only if it explains the
sensor. The mean absolute difference of every other day (or week) from the profile of the days between must be more than
15 % smaller than from their median; for a weekly profile, also 15 % smaller than from the daily profile. At least three
days (or weeks) are needed: a profile of two follows their noise and fits other days much worse. Missing windows are
ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.detectors.windowing.local_clock import local_seconds

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["NO_SEASON", "Season", "find_season"]

_DAY, _WEEK = 86_400, 7 * 86_400
_MAX_BINS = {_DAY: 288, _WEEK: 336}
_MIN_BINS = 4
_KEPT_BELOW = 0.85
_MIN_TURNS = 2.9
"""Three, less a few windows that may be missing at both ends."""

_MIN_COVERED = 0.75
"""Share of the times of a profile that must have values."""


class Season(NamedTuple):
    """A periodic profile.

    Attributes
    ----------
    seconds
        Length of the period; 0 for no season.
    profile
        Values at equally spaced times of the period, the first at its start; float32, as stored.
    """

    seconds: int
    profile: npt.NDArray[np.float32]

    def at(self, times: Integers, time_zone: str) -> Floats:
        """Return the values of the profile, shape ``(n,)``; 0 without a season.

        Parameters
        ----------
        times
            Seconds since 1970-01-01T00:00:00Z, shape ``(n,)``.
        time_zone
            IANA name of the sensor's time zone.
        """
        if not self.seconds:
            return np.zeros(len(times))
        return _between(self.profile.astype(np.float64), self._places(times, time_zone))

    def _places(self, times: Integers, time_zone: str) -> Floats:
        phase = local_seconds(times, time_zone) % self.seconds
        return np.asarray(phase * (len(self.profile) / self.seconds), np.float64)


NO_SEASON = Season(0, np.empty(0, np.float32))
"""The season of a sensor without one."""


def find_season(times: Integers, values: Floats, step: int, time_zone: str) -> Season:
    """Return a sensor's season.

    Parameters
    ----------
    times
        Ends of the windows, ascending, in seconds since 1970-01-01T00:00:00Z; shape ``(n,)``.
    values
        Finite values, shape ``(n,)``.
    step
        The median time between windows, in seconds.
    time_zone
        IANA name of the sensor's time zone.

    Examples
    --------
    >>> hours = 3600 * np.arange(24 * 6)
    >>> season = find_season(hours, np.where(hours % 86_400 < 8 * 3600, 1.0, 5.0), 3600, "UTC")
    >>> season.seconds, season.at(np.array([3 * 3600, 12 * 3600]), "UTC").tolist()
    (86400, [1.0, 5.0])
    """
    found = NO_SEASON
    if not len(times):
        return found
    local = local_seconds(times, time_zone)
    least = None
    for seconds, most in _MAX_BINS.items():
        bins = min(most, seconds // step)
        if bins < _MIN_BINS or times[-1] - times[0] < _MIN_TURNS * seconds:
            break
        place = np.asarray((local % seconds) * (bins / seconds), np.float64)
        turn = ((local - local[0]) // seconds % 2).astype(np.bool_)
        errors = _cross_errors(place, values, turn, bins)
        if errors is None:
            break
        plain, seasonal = errors
        least = plain if least is None else least
        if seasonal < _KEPT_BELOW * least:
            least = seasonal
            found = Season(seconds, _profile(place, values, bins).astype(np.float32))
    return found


def _cross_errors(place: Floats, values: Floats, turn: npt.NDArray[np.bool_], bins: int) -> tuple[float, float] | None:
    """Return the sum of absolute differences from the median, and from the profile, of the other half of the turns."""
    plain = seasonal = 0.0
    for one, other in ((turn, ~turn), (~turn, turn)):
        if not one.any() or len(np.unique(_nearest(place[one], bins))) < _MIN_COVERED * bins:
            return None
        plain += float(np.abs(values[other] - np.median(values[one])).sum())
        seasonal += float(np.abs(values[other] - _between(_profile(place[one], values[one], bins), place[other])).sum())
    return plain, seasonal


def _profile(place: Floats, values: Floats, bins: int) -> Floats:
    """Return the median at each time of the period; times without values are interpolated linearly."""
    bin_of = _nearest(place, bins)
    order = np.lexsort((values, bin_of))
    ordered = values[order]
    bounds = np.searchsorted(bin_of[order], np.arange(bins + 1))
    starts, sizes = bounds[:-1], np.diff(bounds)
    known = np.flatnonzero(sizes)
    starts, sizes = starts[known], sizes[known]
    medians = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2
    return np.asarray(np.interp(np.arange(bins), known, medians, period=bins))


def _nearest(place: Floats, bins: int) -> Integers:
    return np.floor(place + 0.5).astype(np.int64) % bins


def _between(profile: Floats, place: Floats) -> Floats:
    return np.asarray(np.interp(place, np.arange(len(profile)), profile, period=len(profile)))
