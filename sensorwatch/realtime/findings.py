"""From scored windows to what follows: anomalies, those withdrawn, what alert states take in, and what models said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.alerts.feedback import suppress
from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import ScoredWindow
from sensorwatch.detectors.calibration import SEVERITIES, severity_codes
from sensorwatch.detectors.explanation import Explanation, MemberScore
from sensorwatch.realtime.model_set import NO_MODEL
from sensorwatch.realtime.open_windows import NO_WINDOW
from sensorwatch.realtime.records import ModelAnswer, ServedWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from sensorwatch.alerts.handling import Tolerance
    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.config.serving import ServingRule
    from sensorwatch.realtime.open_windows import Touched
    from sensorwatch.realtime.scoring import ScoredWindows, WindowBatch
    from sensorwatch.sensors.records import SensorKey

__all__ = ["Findings", "alarm", "find"]

_ANOMALOUS = 50.0


@dataclass(slots=True)
class Findings:
    """What follows from a batch.

    Attributes
    ----------
    windows
        What models said of the windows that at least one called anomalous, and of those withdrawn.
    anomalies
        Anomalous windows, closed or open.
    withdrawn
        (sensor_id, end) of windows that were anomalous before these readings.
    closed
        Per sensor the windows that its alert state takes in: those that no more readings are expected of.
    reported
        Per sensor the anomaly stored of the window that is open now.
    scored
        Of each sensor of the batch: whether the window that is open now was scored.
    """

    scored: npt.NDArray[np.bool_]
    windows: list[ServedWindow] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    withdrawn: list[tuple[int, int]] = field(default_factory=list)
    closed: dict[int, list[ScoredWindow]] = field(default_factory=dict)
    reported: dict[int, Anomaly] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing has to be stored."""
        return not (self.windows or self.anomalies or self.withdrawn or self.closed)


def find(
    touched: Touched,
    batch: WindowBatch,
    scored: ScoredWindows,
    *,
    rules: Sequence[ServingRule],
    open_anomalies: dict[int, Anomaly],
    unfed: Mapping[int, Sequence[ScoredWindow]],
    policy: AlertPolicy,
    tolerances: Callable[[set[int]], dict[int, list[Tolerance]]],
    key: Callable[[int], SensorKey],
    now: datetime,
) -> Findings:
    """Return what follows from a batch's windows.

    Parameters
    ----------
    touched, batch, scored
        The windows, in the same order.
    rules
        The rules that ``batch.rule`` counts.
    open_anomalies
        The anomalies that are stored of open windows, by sensor.
    unfed
        Closed windows from before this process that alert states may not have taken in, by sensor.
    policy, tolerances
        Which anomalies raise no alert: by the configuration, and by feedback on the alerts of some sensors.
    key
        Gives the name of a sensor.
    now
        Current time (UTC).
    """
    answered = scored.scored
    findings = Findings(_scored_now(touched, answered))
    findings.closed.update({sensor_id: list(windows) for sensor_id, windows in unfed.items()})
    suspicious: npt.NDArray[np.bool_] = np.any(scored.scores >= _ANOMALOUS, axis=0)
    sensor = np.concatenate([each.sensor for each in touched.rounds])
    of_interest = touched.watched | touched.reported
    of_interest[sensor[suspicious]] = True
    if not of_interest.any():
        return findings
    rows = np.flatnonzero(of_interest[sensor])
    anomalies = _anomalies(batch, scored, rows[scored.score[rows] >= _ANOMALOUS].tolist(), policy, tolerances, key)
    walk = _Walk(touched, open_anomalies, findings)
    closes = np.concatenate([each.closes for each in touched.rounds])
    readings = np.concatenate([each.readings for each in touched.rounds])
    for row in rows.tolist():
        sensor_id, end = int(batch.sensor_id[row]), int(batch.end[row])
        position = int(sensor[row])
        if closes[row] != NO_WINDOW:
            walk.close(position, sensor_id, int(closes[row]))
        withdrawn = walk.take(position, sensor_id, end, bool(answered[row]), anomalies.get(row))
        if answered[row] and (suspicious[row] or withdrawn):
            decider = rules[int(batch.rule[row])].decider
            findings.windows.append(_served(row, int(readings[row]), batch, scored, decider, now))
    findings.anomalies.extend(anomalies.values())
    walk.finish()
    return findings


class _Walk:
    """Goes through windows in the order of time, sensor by sensor, and keeps what is known of its open one."""

    def __init__(self, touched: Touched, open_anomalies: dict[int, Anomaly], findings: Findings) -> None:
        self._findings = findings
        self._watched = touched.watched
        self._scored = touched.scored
        self._stored = open_anomalies
        self._open: dict[int, tuple[int, bool, Anomaly | None]] = {}

    def _state(self, position: int, sensor_id: int) -> tuple[int, bool, Anomaly | None]:
        known = self._open.get(position)
        return known or (sensor_id, bool(self._scored[position]), self._stored.get(sensor_id))

    def close(self, position: int, sensor_id: int, end: int) -> None:
        """Note that a sensor's window is over: its alert state takes it in, if that can matter."""
        _, scored, anomaly = self._state(position, sensor_id)
        self._open[position] = (sensor_id, False, None)
        closed = self._findings.closed
        if anomaly is not None:
            closed.setdefault(sensor_id, []).append(alarm(anomaly))
        elif scored and (self._watched[position] or sensor_id in closed):
            closed.setdefault(sensor_id, []).append(ScoredWindow(end, 0.0, SEVERITIES[0], anomalous=False))

    def take(self, position: int, sensor_id: int, end: int, answered: bool, anomaly: Anomaly | None) -> bool:
        """Note what was found of a window; return whether that withdraws an anomaly."""
        _, scored, before = self._state(position, sensor_id)
        if not answered:
            self._open[position] = (sensor_id, scored, before)
            return False
        self._open[position] = (sensor_id, True, anomaly)
        if before is None or anomaly is not None:
            return False
        self._findings.withdrawn.append((sensor_id, end))
        return True

    def finish(self) -> None:
        """Note the anomalies of the windows that are open now."""
        for sensor_id, _, anomaly in self._open.values():
            if anomaly is not None:
                self._findings.reported[sensor_id] = anomaly


def _scored_now(touched: Touched, answered: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return of each sensor whether the window that is open after the batch was scored."""
    flags = touched.scored.copy()
    first = 0
    for each in touched.rounds:
        own = answered[first : first + len(each.sensor)]
        flags[each.sensor] = own | (flags[each.sensor] & (each.closes == NO_WINDOW))
        first += len(each.sensor)
    return flags


def alarm(anomaly: Anomaly) -> ScoredWindow:
    """Return an anomalous window as alert states take it in."""
    return ScoredWindow(
        anomaly.end,
        anomaly.score,
        anomaly.severity,
        not anomaly.suppressed,
        anomaly.value,
        anomaly.expected_low,
        anomaly.expected_high,
        anomaly.model_version,
        anomaly.training_start,
        anomaly.training_end,
        explanation_text(anomaly),
    )


def _anomalies(
    batch: WindowBatch,
    scored: ScoredWindows,
    rows: Sequence[int],
    policy: AlertPolicy,
    tolerances: Callable[[set[int]], dict[int, list[Tolerance]]],
    key: Callable[[int], SensorKey],
) -> dict[int, Anomaly]:
    """Return the anomalous windows by their row, with the reason at those that raise no alert."""
    if not rows:
        return {}
    score = scored.score
    severity = severity_codes(score[rows])
    found = [
        _anomaly(batch, scored, row, float(score[row]), SEVERITIES[code])
        for row, code in zip(rows, severity.tolist(), strict=True)
    ]
    reasons = policy.suppressions(found, {each.sensor_id: key(each.sensor_id) for each in found})
    found = [replace(each, suppressed=why) if why else each for each, why in zip(found, reasons, strict=True)]
    found = suppress(found, tolerances({each.sensor_id for each in found if not each.suppressed}))
    return dict(zip(rows, found, strict=True))


def _anomaly(batch: WindowBatch, scored: ScoredWindows, row: int, score: float, severity: str) -> Anomaly:
    winner = int(scored.winner[row])
    models = scored.models[scored.names[winner]]
    model = int(scored.rows[winner, row])
    # What it is made of, and which pattern comes nearest, batch scoring says.
    finder = models.detectors[models.code[model]].detector.name
    return Anomaly(
        sensor_id=int(batch.sensor_id[row]),
        end=int(batch.end[row]),
        value=float(batch.value[row]),
        score=score,
        severity=severity,
        expected_low=_number(models.expected_low[model]),
        expected_high=_number(models.expected_high[model]),
        model_version=models.versions[models.version[model]],
        training_start=int(models.training_start[model]),
        training_end=int(models.training_end[model]),
        explanation=Explanation(finder, (MemberScore(finder, int(score), 1.0),)),
    )


def _served(
    row: int, readings: int, batch: WindowBatch, scored: ScoredWindows, decider: str, now: datetime
) -> ServedWindow:
    answers: dict[str, ModelAnswer | None] = {}
    for at, name in enumerate(scored.names):
        model = int(scored.rows[at, row])
        if model == NO_MODEL:
            continue
        if scored.late[at, row]:
            answers[name] = None
        elif not np.isnan(scored.scores[at, row]):
            models = scored.models[name]
            version = models.versions[models.version[model]]
            answers[name] = ModelAnswer(float(scored.scores[at, row]), version, float(scored.seconds[at, row]))
    winner = int(scored.winner[row])
    won = answers[scored.names[winner]]
    return ServedWindow(
        sensor_id=int(batch.sensor_id[row]),
        end=int(batch.end[row]),
        readings=readings,
        value=float(batch.value[row]),
        score=float(scored.scores[winner, row]),
        winner=scored.names[winner],
        decider=decider,
        model_version=won.version if won else "",
        answers=answers,
        scored_at=now,
    )


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
