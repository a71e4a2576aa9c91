"""Scoring of windows by several models concurrently; a combiner chooses which answer counts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sensorwatch.detectors.windowing.series import Series
from sensorwatch.realtime.combiners import NO_WINNER, Answers, combiners
from sensorwatch.realtime.open_windows import NO_WINDOW
from sensorwatch.realtime.records import ANOMALOUS_SCORE
from sensorwatch.realtime.served_models import NO_MODEL, history_windows
from sensorwatch.realtime.serving_statistics import ModelKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from sensorwatch.config.serving import ServingRule
    from sensorwatch.realtime.model_calls import Call, ModelThreads
    from sensorwatch.realtime.open_windows import Round
    from sensorwatch.realtime.served_models import ServedModels
    from sensorwatch.realtime.serving_statistics import ServingStatistics

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["ScoredWindows", "Scorer", "WindowBatch", "distinct"]

_log = logging.getLogger(__name__)


class WindowBatch(NamedTuple):
    """Windows to score, as columns of shape ``(n,)``.

    Attributes
    ----------
    sensor_id
        Sensor, int64.
    end
        End of the window, inclusive, in seconds since 1970-01-01T00:00:00Z, int64.
    value
        Mean of the window's readings so far, float64.
    past_end, past_value
        Closed windows before it, shape ``(n, history)``; see :class:`~sensorwatch.realtime.open_windows.Round`.
    rule
        Position of the sensor's rule, int64.
    """

    sensor_id: Integers
    end: Integers
    value: Floats
    past_end: Integers
    past_value: Floats
    rule: Integers

    @classmethod
    def of(cls, rounds: Sequence[Round], sensor_id: Integers, rule: Integers) -> WindowBatch:
        """Return the windows of all rounds.

        Parameters
        ----------
        rounds
            Rounds, not empty.
        sensor_id, rule
            Sensors of the batch and the positions of their rules, shape ``(n_sensors,)``, int64.
        """
        if len(rounds) == 1:
            sensor, end, value, _, _, _, past_end, past_value = rounds[0]
        else:
            sensor, end, value, _, _, _, past_end, past_value = map(np.concatenate, zip(*rounds, strict=True))
        return cls(sensor_id[sensor], end, value, past_end, past_value, rule[sensor])


@dataclass(frozen=True, slots=True)
class ScoredWindows:
    """Answers of models for ``n`` windows, and the answer that counts.

    Matrices have shape ``(n_models, n)``; their rows are in the order of ``names``.

    Attributes
    ----------
    names
        Names of the models, ascending.
    models
        Models by name.
    scores, seconds
        Scores and durations, float64; see :class:`~sensorwatch.realtime.combiners.Answers`.
    rows
        Row of the sensor's model in ``models``, int64; ``NO_MODEL`` if the model was not called for the window.
    late
        True if the model missed the deadline.
    winner
        Position in ``names`` of the model whose answer counts, shape ``(n,)``, int64; ``NO_WINNER`` without a score.
    """

    names: tuple[str, ...]
    models: Mapping[str, ServedModels]
    scores: Floats
    seconds: Floats
    rows: Integers
    late: Flags
    winner: Integers

    @property
    def scored(self) -> Flags:
        """Mask of the windows that have a score, shape ``(n,)``."""
        return np.asarray(self.winner != NO_WINNER)

    @property
    def score(self) -> Floats:
        """Score of each window, shape ``(n,)``, float64; NaN without a score."""
        if not self.names:
            return np.full(len(self.winner), np.nan)
        return self.scores[self.winner, np.arange(len(self.winner))]


class _DetectorCall(NamedTuple):
    """Call of one detector of a model, for some windows."""

    position: int
    key: ModelKey
    version: str
    windows: Integers
    deadline: float


class Scorer:
    """Scoring of windows by rules, under deadlines.

    Parameters
    ----------
    rules
        Rules, addressed by position in :attr:`WindowBatch.rule`.
    deadline_seconds
        Deadline of rules without their own.
    threads
        Threads that call the models.
    statistics
        Statistics of the calls.
    monotonic
        Monotonic clock, in seconds.
    """

    def __init__(
        self,
        rules: Sequence[ServingRule],
        deadline_seconds: float,
        threads: ModelThreads[Floats],
        statistics: ServingStatistics,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._rules = tuple(rules)
        self._deadlines = np.array(
            [deadline_seconds if rule.deadline_ms is None else rule.deadline_ms / 1000 for rule in rules]
        )
        self._combiners = combiners()
        self._threads = threads
        self._statistics = statistics
        self._monotonic = monotonic

    def __call__(self, windows: WindowBatch, in_use: Mapping[str, ServedModels], now: datetime) -> ScoredWindows:
        """Score windows, waiting for models no longer than the longest deadline of the windows' rules.

        Parameters
        ----------
        windows
            Windows to score.
        in_use
            Models by name; a model that is missing here is not called.
        now
            Current time (UTC), for the statistics.
        """
        began = self._monotonic()
        rules = distinct(windows.rule)
        names = tuple(sorted({name for at in rules for name in self._rules[at].models if name in in_use}))
        shape = (len(names), len(windows.end))
        scored = ScoredWindows(
            names,
            in_use,
            scores=np.full(shape, np.nan),
            seconds=np.zeros(shape),
            rows=np.full(shape, NO_MODEL),
            late=np.zeros(shape, np.bool_),
            winner=np.full(len(windows.end), NO_WINNER),
        )
        planned = self._plan_calls(windows, scored, rules)
        group = self._threads.start(
            (each.key, partial(_score, in_use[each.key.model], each, windows, scored.rows)) for each in planned
        )
        for deadline in sorted({each.deadline for each in planned}):
            due = [at for at, each in enumerate(planned) if each.deadline == deadline]
            group.wait(began + deadline, due, self._monotonic)
        for each, call in zip(planned, group.calls, strict=True):
            _collect(each, call, scored)
        self._combine(windows.rule, scored, rules)
        self._count(planned, group.calls, scored, now)
        return scored

    def _plan_calls(self, windows: WindowBatch, scored: ScoredWindows, rules: Sequence[int]) -> list[_DetectorCall]:
        found: list[_DetectorCall] = []
        for position, name in enumerate(scored.names):
            answering = [at for at in rules if name in self._rules[at].models]
            wanted = np.isin(windows.rule, answering) if len(answering) < len(rules) else None
            models = scored.models[name]
            rows = models.rows(windows.sensor_id)
            usable = (rows != NO_MODEL) & np.isfinite(windows.value)
            usable &= windows.end > models.first_training_end[rows] if len(models) else False
            if wanted is not None:
                usable &= wanted
            scored.rows[position, usable] = rows[usable]
            places = np.flatnonzero(usable)
            codes, deadlines = models.code[rows[places]], self._deadlines[windows.rule[places]]
            for code in distinct(codes):
                key = ModelKey(name, models.detectors[code].detector.name)
                for deadline in distinct(deadlines):
                    chosen = places[(codes == code) & (deadlines == deadline)]
                    if len(chosen):
                        found.append(_DetectorCall(position, key, models.newest_version, chosen, deadline))
        return found

    def _combine(self, rule: Integers, scored: ScoredWindows, rules: Sequence[int]) -> None:
        if not scored.names:
            return
        for at in rules:
            weights = np.array([self._rules[at].weights.get(name, 1.0) for name in scored.names])
            combiner = self._combiners[self._rules[at].decider]
            if len(rules) == 1:
                scored.winner[:] = combiner.winners(Answers(scored.scores, scored.seconds, weights))
            else:
                chosen = np.flatnonzero(rule == at)
                answers = Answers(scored.scores[:, chosen], scored.seconds[:, chosen], weights)
                scored.winner[chosen] = combiner.winners(answers)

    def _count(
        self, planned: Sequence[_DetectorCall], calls: Sequence[Call[Floats]], scored: ScoredWindows, now: datetime
    ) -> None:
        decided = scored.score >= ANOMALOUS_SCORE
        for each, call in zip(planned, calls, strict=True):
            scores = scored.scores[each.position, each.windows]
            arrived = ~np.isnan(scores)
            answered = int(np.count_nonzero(arrived))
            self._statistics.record_call(
                each.key,
                each.version,
                now,
                uses=answered,
                timeouts=len(scores) if call.abandoned else 0,
                failures=0 if call.abandoned else len(scores) - answered,
                disagreements=int(np.count_nonzero(arrived & ((scores >= ANOMALOUS_SCORE) != decided[each.windows]))),
                seconds=None if call.abandoned else call.seconds,
            )


def distinct(values: npt.NDArray[Any]) -> list[Any]:
    """Return the distinct values, ascending; fast if all are equal."""
    if not len(values) or (values == values[0]).all():
        values = values[:1]
    found: list[Any] = np.unique(values).tolist()
    return found


def _score(models: ServedModels, detector_call: _DetectorCall, windows: WindowBatch, rows: Integers) -> Floats:
    """Return the scores of the windows of a call."""
    chosen = detector_call.windows
    model_rows = rows[detector_call.position, chosen]
    code = int(models.code[model_rows[0]])
    history = history_windows(models.detectors[code].detector, windows.past_end.shape[1])
    end, value = windows.end[chosen], windows.value[chosen]
    if not history:
        return models.score(code, model_rows, Series(np.arange(len(end) + 1), end, value))
    ends = np.concatenate((windows.past_end[chosen, -history:], end[:, None]), axis=1)
    values = np.concatenate((windows.past_value[chosen, -history:], value[:, None]), axis=1)
    there = ends != NO_WINDOW
    offsets = np.concatenate(([0], np.cumsum(there.sum(axis=1)))).astype(np.int64)
    return models.score(code, model_rows, Series(offsets, ends[there], values[there]))


def _collect(detector_call: _DetectorCall, call: Call[Floats], scored: ScoredWindows) -> None:
    if call.abandoned:
        scored.late[detector_call.position, detector_call.windows] = True
    elif call.error is not None:
        _log.error("model %s (%s) failed: %s", *detector_call.key, call.error, exc_info=call.error)
    elif call.value is not None:
        scored.scores[detector_call.position, detector_call.windows] = call.value
        scored.seconds[detector_call.position, detector_call.windows] = call.seconds
