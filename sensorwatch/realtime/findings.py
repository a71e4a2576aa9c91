"""Findings of a batch of scored windows: anomalies, withdrawals, closed windows for alerts, and records of answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.alerts.feedback import suppress
from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import ScoredWindow
from sensorwatch.detectors.calibration import SCORE_SEVERITIES, severity_codes
from sensorwatch.detectors.explanation import Explanation, MemberScore
from sensorwatch.realtime.open_windows import NO_WINDOW
from sensorwatch.realtime.records import ANOMALOUS_SCORE, ModelAnswer, ServedWindow
from sensorwatch.realtime.served_models import NO_MODEL

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

__all__ = ["Findings", "find_anomalies", "scored_window"]


@dataclass(slots=True)
class Findings:
    """Findings of a batch.

    Attributes
    ----------
    scored
        True if the sensor's open window after the batch was scored, shape ``(n_sensors,)``, bool.
    windows
        Records of the windows that a model found anomalous, and of the withdrawn ones.
    anomalies
        Anomalous windows, closed or open.
    withdrawn
        Windows (sensor_id, end) that were anomalous before the batch and are normal now.
    closed
        Closed windows by sensor, for its alert state; in ascending order of end.
    reported
        Anomalies of the windows that are open after the batch, by sensor.
    """

    scored: npt.NDArray[np.bool_]
    windows: list[ServedWindow] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    withdrawn: list[tuple[int, int]] = field(default_factory=list)
    closed: dict[int, list[ScoredWindow]] = field(default_factory=dict)
    reported: dict[int, Anomaly] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """True if there is nothing to store."""
        return not (self.windows or self.anomalies or self.withdrawn or self.closed)


def find_anomalies(
    touched: Touched,
    batch: WindowBatch,
    scored: ScoredWindows,
    *,
    rules: Sequence[ServingRule],
    open_anomalies: dict[int, Anomaly],
    restored: Mapping[int, Sequence[ScoredWindow]],
    policy: AlertPolicy,
    tolerances: Callable[[set[int]], dict[int, list[Tolerance]]],
    key: Callable[[int], SensorKey],
    now: datetime,
) -> Findings:
    """Return the findings of a batch.

    Parameters
    ----------
    touched
        Windows that the batch added readings to.
    batch, scored
        The same windows in the same order, as they were scored, and their scores.
    rules
        Rules, addressed by position in ``batch.rule``.
    open_anomalies
        Stored anomalies of open windows, by sensor.
    restored
        Closed windows by sensor that were read back from the store, and may be missing in alert states.
    policy
        Alert policy; decides which anomalies raise no alert.
    tolerances
        Function from sensors to the values that feedback tolerates.
    key
        Function from a sensor's id to its key.
    now
        Current time (UTC).
    """
    answered = scored.scored
    findings = Findings(_scored_now(touched, answered))
    findings.closed.update({sensor_id: list(windows) for sensor_id, windows in restored.items()})
    suspicious: npt.NDArray[np.bool_] = np.any(scored.scores >= ANOMALOUS_SCORE, axis=0)
    sensor = np.concatenate([each.sensor for each in touched.rounds])
    of_interest = touched.unsettled | touched.reported
    of_interest[sensor[suspicious]] = True
    if not of_interest.any():
        return findings
    rows = np.flatnonzero(of_interest[sensor])
    anomalies = _anomalies(batch, scored, rows[scored.score[rows] >= ANOMALOUS_SCORE].tolist(), policy, tolerances, key)
    states = _OpenStates(touched, open_anomalies, findings)
    closes = np.concatenate([each.closes for each in touched.rounds])
    readings = np.concatenate([each.readings for each in touched.rounds])
    for row in rows.tolist():
        sensor_id, end = int(batch.sensor_id[row]), int(batch.end[row])
        position = int(sensor[row])
        if closes[row] != NO_WINDOW:
            states.close(position, sensor_id, int(closes[row]))
        withdrawn = states.add(position, sensor_id, end, bool(answered[row]), anomalies.get(row))
        if answered[row] and (suspicious[row] or withdrawn):
            combiner = rules[int(batch.rule[row])].decider
            findings.windows.append(_served(row, int(readings[row]), batch, scored, combiner, now))
    findings.anomalies.extend(anomalies.values())
    states.finish()
    return findings


class _OpenStates:
    """State of each sensor's open window, while the windows of a batch are processed in order of time."""

    def __init__(self, touched: Touched, open_anomalies: dict[int, Anomaly], findings: Findings) -> None:
        self._findings = findings
        self._unsettled = touched.unsettled
        self._scored = touched.scored
        self._stored = open_anomalies
        self._open: dict[int, tuple[int, bool, Anomaly | None]] = {}

    def _state(self, position: int, sensor_id: int) -> tuple[int, bool, Anomaly | None]:
        known = self._open.get(position)
        return known or (sensor_id, bool(self._scored[position]), self._stored.get(sensor_id))

    def close(self, position: int, sensor_id: int, end: int) -> None:
        """Close the open window of a sensor; pass it to the alert state if it can change that state."""
        _, scored, anomaly = self._state(position, sensor_id)
        self._open[position] = (sensor_id, False, None)
        closed = self._findings.closed
        if anomaly is not None:
            closed.setdefault(sensor_id, []).append(scored_window(anomaly))
        elif scored and (self._unsettled[position] or sensor_id in closed):
            closed.setdefault(sensor_id, []).append(ScoredWindow(end, 0.0, SCORE_SEVERITIES[0], anomalous=False))

    def add(self, position: int, sensor_id: int, end: int, answered: bool, anomaly: Anomaly | None) -> bool:
        """Set the result of a window; return True if it withdraws a stored anomaly."""
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
        """Add the anomalies of the windows that are open after the batch to the findings."""
        for sensor_id, _, anomaly in self._open.values():
            if anomaly is not None:
                self._findings.reported[sensor_id] = anomaly


def _scored_now(touched: Touched, answered: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the mask of sensors whose open window after the batch was scored, shape ``(n_sensors,)``."""
    flags = touched.scored.copy()
    first = 0
    for each in touched.rounds:
        by_round = answered[first : first + len(each.sensor)]
        flags[each.sensor] = by_round | (flags[each.sensor] & (each.closes == NO_WINDOW))
        first += len(each.sensor)
    return flags


def scored_window(anomaly: Anomaly) -> ScoredWindow:
    """Return an anomaly as a scored window of the alert state machine."""
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
    """Return the anomalies by row; those that raise no alert have the reason in ``suppressed``."""
    if not rows:
        return {}
    score = scored.score
    severity = severity_codes(score[rows])
    found = [
        _anomaly(batch, scored, row, float(score[row]), SCORE_SEVERITIES[code])
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
    # Real time names the detector only; batch scoring adds the members and the nearest pattern.
    detector = models.detectors[models.code[model]].detector.name
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
        explanation=Explanation(detector, (MemberScore(detector, int(score), 1.0),)),
    )


def _served(
    row: int, readings: int, batch: WindowBatch, scored: ScoredWindows, combiner: str, now: datetime
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
        combiner=combiner,
        model_version=won.version if won else "",
        answers=answers,
        scored_at=now,
    )


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
