"""Alarm figures: false alarms, detected anomalies and detection delays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Spans = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

__all__ = ["AlarmFigures", "alarm_figures"]

_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    """Comparison of alarms with labels, for one series or for several together.

    Attributes
    ----------
    anomalies
        Number of labelled spans.
    detected
        Number of labelled spans that overlap an alarm.
    alarms
        Number of alarms.
    false_alarms
        Number of alarms that overlap no labelled span.
    days
        Length of the scored range in days, from the first window to the last, including labelled spans.
    delays_seconds
        For each detected span, the time from its first window to the first window of an alarm in it, in seconds; 0 for
        an alarm that began before the span.
    """

    anomalies: int
    detected: int
    alarms: int
    false_alarms: int
    days: float
    delays_seconds: tuple[int, ...]

    @property
    def false_alarms_per_day(self) -> float:
        """False alarms per day; NaN if nothing was scored."""
        return self.false_alarms / self.days if self.days else float("nan")

    @property
    def delay_seconds(self) -> float:
        """Median detection delay in seconds; NaN if nothing was detected."""
        return float(np.median(self.delays_seconds)) if self.delays_seconds else float("nan")

    def __add__(self, other: AlarmFigures) -> AlarmFigures:
        """Return the figures of both together."""
        return AlarmFigures(
            self.anomalies + other.anomalies,
            self.detected + other.detected,
            self.alarms + other.alarms,
            self.false_alarms + other.false_alarms,
            self.days + other.days,
            self.delays_seconds + other.delays_seconds,
        )


def alarm_figures(times: npt.NDArray[np.int64], anomalies: Spans, alarms: Spans) -> AlarmFigures:
    """Compare the alarms of one series with its labels.

    Parameters
    ----------
    times
        Ends of the scored windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_windows,)``, int64.
    anomalies
        First and last positions of the labelled spans, both inclusive; two int64 arrays of shape ``(n_anomalies,)``.
        Spans are ascending and don't overlap.
    alarms
        The same of the alarms, shape ``(n_alarms,)``.

    Examples
    --------
    >>> times = np.arange(10) * 8640
    >>> figures = alarm_figures(times, (np.array([4]), np.array([6])), (np.array([1, 5]), np.array([1, 8])))
    >>> figures.false_alarms, figures.detected, figures.delays_seconds
    (1, 1, (8640,))
    """
    first_alarm = np.searchsorted(alarms[1], anomalies[0], side="left")
    met = np.append(alarms[0], len(times))[first_alarm] <= anomalies[1]
    begin = np.maximum(alarms[0][first_alarm[met]], anomalies[0][met])
    first_anomaly = np.searchsorted(anomalies[1], alarms[0], side="left")
    true = np.append(anomalies[0], len(times))[first_anomaly] <= alarms[1]
    return AlarmFigures(
        anomalies=len(anomalies[0]),
        detected=int(met.sum()),
        alarms=len(alarms[0]),
        false_alarms=int((~true).sum()),
        days=float(times[-1] - times[0]) / _DAY_SECONDS if len(times) else 0.0,
        delays_seconds=tuple((times[begin] - times[anomalies[0][met]]).tolist()),
    )
