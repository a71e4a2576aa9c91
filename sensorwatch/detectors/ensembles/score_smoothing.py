"""What the windows just before add to a window's score: oddities that last, and alarms that rise in steps.

**Lasting.** A fault is seldom over with the window that shows it, and a detector that looks back sees it come and go.
So half of what a window counts for is its own rarity, and half that of the last windows: their exponentially weighted
mean over some ten windows, or, where it was higher before, what is left of that, which halves in some 35.

**In steps.** Whoever watches a score for rises wants to know that something has begun, or has become clearly worse, not
of every window of an episode that rises. So a score of 1 and more is a step, and what exceeds it is no higher before it
does so by a third, or is the first that is anomalous; a step that nothing has reached for 100 windows is forgotten.
Scores below a step are what they are.
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

__all__ = ["Lately"]

_SMOOTHING = 0.1
_KEPT = 0.98
_OWN_SHARE = 0.5

_LOWEST_STEP = 1.0
_RISE = 4 / 3


class Lately(NamedTuple):
    """What is known of the last windows of each sensor; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    smooth
        Rarity of the last windows on average.
    lasting
        The same, or what is left of what it was before.
    step
        The score that a higher one has to exceed clearly; 0 for none.
    step_windows
        Windows since one reached it.
    """

    smooth: Floats
    lasting: Floats
    step: Floats
    step_windows: Floats

    @classmethod
    def begin(cls, usual: Floats) -> Lately:
        """Return what is known before the first window of sensors whose windows usually have these rarities."""
        zero = np.zeros(len(usual))
        return cls(usual.copy(), usual.copy(), zero, zero.copy())

    def weigh(self, rarity: Floats, learns: Flags) -> Floats:
        """Return what a window of each sensor counts for; of those that do not learn it is their rarity alone.

        Changes the arrays in place, as :meth:`stepped` does.

        Parameters
        ----------
        rarity
            Of the window, 0 to 10; NaN gives NaN.
        learns
            Whether the window counts from now on; false for NaN.
        """
        self.smooth[learns] += _SMOOTHING * (rarity - self.smooth)[learns]
        self.lasting[learns] = np.maximum(self.smooth, _KEPT * self.lasting)[learns]
        lasting = np.where(learns, self.lasting, rarity)
        return np.asarray(_OWN_SHARE * rarity + (1.0 - _OWN_SHARE) * lasting)

    def stepped(self, score: Floats, learns: Flags) -> Floats:
        """Return the scores in steps; what is anomalous (a rarity of more than 3) stays so, nothing else becomes it.

        Parameters
        ----------
        score
            Of a window of each sensor, as a rarity.
        learns
            Whether the window counts; false for NaN.
        """
        step, windows = self.step, self.step_windows
        windows[learns] += 1.0
        step[windows > HOLD_WINDOWS] = 0.0
        high = learns & (score >= _LOWEST_STEP)
        first = (score > ANOMALOUS_RARITY) & (step <= ANOMALOUS_RARITY)
        rises = high & (first | (score > _RISE * step))
        stays = high & ~rises & (score > step)
        step[rises] = score[rises]
        windows[rises | stays] = 0.0
        return np.where(stays, step, score)
