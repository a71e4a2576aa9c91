"""What people who get the alarms notice: how many are false, what is missed, and how late they come."""

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
    """Alarms against labels, of one series or of several together.

    Attributes
    ----------
    anomalies, detected
        Labelled spans, and those of them with an alarm.
    alarms, false_alarms
        Alarms, and those that meet no labelled span.
    days
        What was scored, from the first window to the last, labelled spans included.
    delays_seconds
        For each detected span, from its first window to the first of an alarm in it; 0 for an alarm that was on before.
    """

    anomalies: int
    detected: int
    alarms: int
    false_alarms: int
    days: float
    delays_seconds: tuple[int, ...]

    @property
    def false_alarms_per_day(self) -> float:
        """False alarms a day; NaN where no time was scored."""
        return self.false_alarms / self.days if self.days else float("nan")

    @property
    def delay_seconds(self) -> float:
        """Median detection delay; NaN where nothing was detected."""
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
        Ends of the scored windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_windows,)``.
    anomalies, alarms
        First and last positions of the labelled and the detected spans, both inclusive, in order and apart.

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
