"""Labels of samples: the components that fail within the horizon.

A sample at time T is labelled with a component if that component fails at a time f with ``T < f <= T + horizon``. With
the default horizon of 3.5 days these are the 7 half-days before a failure. Labels are known only for samples whose
horizon ends within the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.machines.fleet import COMPONENTS, HALF_DAY_SECONDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.machines.fleet import Events, Ints

__all__ = ["HEALTHY", "first_failure", "last_labelled_sample", "seconds_to_failure"]

HEALTHY = 0
"""Class of a sample without a failure within the horizon; component ``i`` is class ``i + 1``."""

_NEVER = np.iinfo(np.int64).max


def seconds_to_failure(failures: Events, machines: int, first: int, last: int) -> Ints:
    """Return the seconds from each sample to the next failure of each component.

    Parameters
    ----------
    failures
        Failures, ordered by (machine, time, component).
    machines
        Number of machines.
    first, last
        First and last sample (both inclusive), in half-days since 1970-01-01T00:00:00Z.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_machines, n_samples, 4)``, int64; the largest integer if a component never fails again.
    """
    samples = last - first + 1
    following = np.full((machines, samples, len(COMPONENTS)), _NEVER)
    # The newest sample strictly before the failure.
    sample = -(-failures.time // HALF_DAY_SECONDS) - 1 - first
    behind = sample >= samples
    place = np.clip(sample, 0, samples - 1)
    known = (sample >= 0) & ~behind
    at = (failures.machine[known], place[known], failures.kind[known])
    np.minimum.at(following, at, failures.time[known])
    beyond = np.full((machines, len(COMPONENTS)), _NEVER)
    np.minimum.at(beyond, (failures.machine[behind], failures.kind[behind]), failures.time[behind])
    following[:, -1] = np.minimum(following[:, -1], beyond)
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    times = (np.arange(first, last + 1) * HALF_DAY_SECONDS)[None, :, None]
    return np.where(following == _NEVER, _NEVER, following - times)


def last_labelled_sample(end: int, horizon_seconds: int) -> int:
    """Return the newest sample whose horizon ends at or before ``end``, because later labels may still change.

    ``end`` is in seconds since 1970-01-01T00:00:00Z.
    """
    return (end - horizon_seconds) // HALF_DAY_SECONDS


def first_failure(to_failure: Ints, horizon_seconds: int) -> npt.NDArray[np.int8]:
    """Return the class of each row: the component that fails first within the horizon, shape ``(n_rows,)``.

    ``to_failure`` has shape ``(n_rows, 4)``. If several components fail at the same time, the first by name wins.
    """
    component = to_failure.argmin(axis=1)
    fails = to_failure[np.arange(len(to_failure)), component] <= horizon_seconds
    return np.where(fails, component + 1, HEALTHY).astype(np.int8)
