"""Score smoothing: anomalies that last score higher, and a rising score rises in steps.

**Smoothing.** An anomaly seldom ends with the window that shows it first, and to a detector that looks back it comes
and goes. Therefore half of a window's score is its own rarity, and half is the sustained rarity of the last windows:
their exponentially weighted mean over about ten windows or, if it was higher before, its decayed maximum, which halves
in about 35 windows.

**Steps.** A person who watches rises of the score wants to know that an anomaly has begun or has become clearly worse,
not about every window of a rising episode. Therefore a score of 1 or more is a step. A higher score stays at the step
until it exceeds it by a third, or is the first one that is anomalous. A step that no score has reached for 100 windows
ends. Scores below 1 are not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.detectors.calibration import ANOMALOUS_RARITY
from sensorwatch.detectors.ensembles.recent_tail import HOLD_WINDOWS

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["ScoreSmoothing"]

_SMOOTHING = 0.1
_DECAY = 0.98
_OWN_SHARE = 0.5

_MIN_STEP = 1.0
_RISE = 4 / 3


class ScoreSmoothing(NamedTuple):
    """State of smoothing; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    smooth
        Exponentially weighted mean of the last windows' rarities.
    lasting
        Maximum of ``smooth`` and its decayed earlier values.
    step
        Current step, as a rarity; 0 for none.
    step_windows
        Windows since a score reached the step.
    """

    smooth: Floats
    lasting: Floats
    step: Floats
    step_windows: Floats

    @classmethod
    def initial(cls, mean: Floats) -> ScoreSmoothing:
        """Return the state before the first window of sensors whose normal windows have these mean rarities."""
        zero = np.zeros(len(mean))
        return cls(mean.copy(), mean.copy(), zero, zero.copy())

    def smoothed(self, rarity: Floats, learns: Flags) -> Floats:
        """Return the smoothed rarity of one window of each sensor, and update the state in place.

        Parameters
        ----------
        rarity
            Rarity of the window, 0 to 10, shape ``(n_sensors,)``; NaN gives NaN.
        learns
            Whether the window updates the state, shape ``(n_sensors,)``; False for NaN. The rarity of a window that
            does not is returned as it is.
        """
        self.smooth[learns] += _SMOOTHING * (rarity - self.smooth)[learns]
        self.lasting[learns] = np.maximum(self.smooth, _DECAY * self.lasting)[learns]
        lasting = np.where(learns, self.lasting, rarity)
        return np.asarray(_OWN_SHARE * rarity + (1.0 - _OWN_SHARE) * lasting)

    def stepped(self, score: Floats, learns: Flags) -> Floats:
        """Return the scores of one window of each sensor in steps, and update the state in place.

        Whether a score is anomalous (above a rarity of 3) does not change.

        Parameters
        ----------
        score
            Score of the window as a rarity, shape ``(n_sensors,)``.
        learns
            Whether the window updates the state, shape ``(n_sensors,)``; False for NaN.
        """
        step, windows = self.step, self.step_windows
        windows[learns] += 1.0
        step[windows > HOLD_WINDOWS] = 0.0
        high = learns & (score >= _MIN_STEP)
        first = (score > ANOMALOUS_RARITY) & (step <= ANOMALOUS_RARITY)
        rises = high & (first | (score > _RISE * step))
        stays = high & ~rises & (score > step)
        step[rises] = score[rises]
        windows[rises | stays] = 0.0
        return np.where(stays, step, score)
