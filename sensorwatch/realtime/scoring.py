"""Windows scored by several models at once: each model's detectors are called side by side, and a decider picks."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sensorwatch.detectors.windowing.series import Series
from sensorwatch.realtime.combiners import NOBODY, Answers, deciders
from sensorwatch.realtime.model_set import NO_MODEL, history_windows
from sensorwatch.realtime.open_windows import NO_WINDOW
from sensorwatch.realtime.statistics import ModelKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from sensorwatch.config.serving import ServingRule
    from sensorwatch.realtime.calls import Call, ModelThreads
    from sensorwatch.realtime.model_set import ServedModels
    from sensorwatch.realtime.open_windows import Round
    from sensorwatch.realtime.statistics import ServingStatistics

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["ScoredWindows", "Scorer", "WindowBatch", "distinct"]

_log = logging.getLogger(__name__)

_ANOMALOUS = 50.0


class WindowBatch(NamedTuple):
    """Windows to score: columns of shape ``(n,)``, and the windows before them as :class:`Round` has them.

    ``rule`` is the position of each one's rule.
    """

    sensor_id: Integers
    end: Integers
    value: Floats
    past_end: Integers
    past_value: Floats
    rule: Integers

    @classmethod
    def of(cls, rounds: Sequence[Round], sensor_id: Integers, rule: Integers) -> WindowBatch:
        """Return the windows of some rounds, given the sensors and their rules."""
        if len(rounds) == 1:
            sensor, end, value, _, _, _, past_end, past_value = rounds[0]
        else:
            sensor, end, value, _, _, _, past_end, past_value = map(np.concatenate, zip(*rounds, strict=True))
        return cls(sensor_id[sensor], end, value, past_end, past_value, rule[sensor])


@dataclass(frozen=True, slots=True)
class ScoredWindows:
    """What became of windows; matrices have shape ``(n_models, n)``, their rows in the order of ``names``.

    Attributes
    ----------
    models
        The models that were asked, by name.
    scores, seconds
        As :class:`Answers` has them.
    rows
        The row of each one's model in ``models``; ``NO_MODEL`` where there is none.
    late
        Which were asked and did not answer in time.
    winner
        Whose answer counts, shape ``(n,)``; ``NOBODY`` for a window that is not scored.
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
        """Which windows have a score, shape ``(n,)``."""
        return np.asarray(self.winner != NOBODY)

    @property
    def score(self) -> Floats:
        """The scores that count, shape ``(n,)``; NaN for a window that is not scored."""
        if not self.names:
            return np.full(len(self.winner), np.nan)
        return self.scores[self.winner, np.arange(len(self.winner))]


class _Asked(NamedTuple):
    """One call: a detector of a model, and the windows that it is for."""

    position: int
    key: ModelKey
    version: str
    windows: Integers
    deadline: float


class Scorer:
    """Scores windows by rules, under deadlines.

    Parameters
    ----------
    rules
        A window's ``rule`` is a position in these.
    deadline_seconds
        For the rules that name none.
    threads
        Where models are called.
    statistics
        Where it is counted what they do.
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
        self._deciders = deciders()
        self._threads = threads
        self._statistics = statistics
        self._monotonic = monotonic

    def __call__(self, windows: WindowBatch, in_use: Mapping[str, ServedModels], now: datetime) -> ScoredWindows:
        """Score windows with the models in use, in no more time than the longest of their deadlines."""
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
            winner=np.full(len(windows.end), NOBODY),
        )
        asked = self._asked(windows, scored, rules)
        calls = self._threads.start(
            (each.key, partial(_score, in_use[each.key.model], each, windows, scored.rows)) for each in asked
        )
        for deadline in sorted({each.deadline for each in asked}):
            due = [at for at, each in enumerate(asked) if each.deadline == deadline]
            calls.wait(began + deadline, due, self._monotonic)
        for each, call in zip(asked, calls.calls, strict=True):
            _take_over(each, call, scored)
        self._decide(windows.rule, scored, rules)
        self._count(asked, calls.calls, scored, now)
        return scored

    def _asked(self, windows: WindowBatch, scored: ScoredWindows, rules: Sequence[int]) -> list[_Asked]:
        found: list[_Asked] = []
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
                        found.append(_Asked(position, key, models.newest_version, chosen, deadline))
        return found

    def _decide(self, rule: Integers, scored: ScoredWindows, rules: Sequence[int]) -> None:
        if not scored.names:
            return
        for at in rules:
            weights = np.array([self._rules[at].weights.get(name, 1.0) for name in scored.names])
            decider = self._deciders[self._rules[at].decider]
            if len(rules) == 1:
                scored.winner[:] = decider.winners(Answers(scored.scores, scored.seconds, weights))
            else:
                own = np.flatnonzero(rule == at)
                answers = Answers(scored.scores[:, own], scored.seconds[:, own], weights)
                scored.winner[own] = decider.winners(answers)

    def _count(
        self, asked: Sequence[_Asked], calls: Sequence[Call[Floats]], scored: ScoredWindows, now: datetime
    ) -> None:
        decided = scored.score >= _ANOMALOUS
        for each, call in zip(asked, calls, strict=True):
            scores = scored.scores[each.position, each.windows]
            arrived = ~np.isnan(scores)
            answered = int(np.count_nonzero(arrived))
            late = call.late
            self._statistics.use(
                each.key,
                each.version,
                now,
                uses=answered,
                timeouts=len(scores) if late else 0,
                failures=0 if late else len(scores) - answered,
                disagreements=int(np.count_nonzero(arrived & ((scores >= _ANOMALOUS) != decided[each.windows]))),
                seconds=None if late else call.seconds,
            )


def distinct(values: npt.NDArray[Any]) -> list[Any]:
    """Return the distinct values, ascending; quick where there is only one."""
    if not len(values) or (values == values[0]).all():
        values = values[:1]
    found: list[Any] = np.unique(values).tolist()
    return found


def _score(models: ServedModels, asked: _Asked, windows: WindowBatch, rows: Integers) -> Floats:
    """Return the scores of the windows that a detector is asked for."""
    chosen = asked.windows
    model_rows = rows[asked.position, chosen]
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


def _take_over(asked: _Asked, call: Call[Floats], scored: ScoredWindows) -> None:
    if call.late:
        scored.late[asked.position, asked.windows] = True
    elif call.error is not None:
        _log.error("model %s (%s) failed: %s", *asked.key, call.error, exc_info=call.error)
    elif call.value is not None:
        scored.scores[asked.position, asked.windows] = call.value
        scored.seconds[asked.position, asked.windows] = call.seconds
