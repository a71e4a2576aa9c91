"""Alert policy: the settings, the rules of ``sensorwatch.yaml`` that override them, and downtime. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.config.alerts import SEVERITIES, AlertRule, AlertSection, Flatline, NoData
from sensorwatch.sensors.downtime import DowntimePlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.sensors.downtime import Downtime
    from sensorwatch.sensors.records import ReportingProfile, SensorKey

__all__ = ["NO_RULE", "AlertDefaults", "AlertPolicy", "NoDataLimits"]

NO_RULE = "settings"
"""Name that is shown in place of a rule's if no rule matches a sensor."""

_RANKS = {severity: rank for rank, severity in enumerate(SEVERITIES, 1)}
_DEFAULT_RULE = AlertRule()

_USUAL_GAPS = 2
"""A sensor is not without data within this many of its longest usual gaps."""


@dataclass(frozen=True, slots=True)
class AlertDefaults:
    """Values of the settings, which rules override.

    Attributes
    ----------
    rules
        ``k``, ``n`` and the quiet period.
    quiet_intervals
        Shortest quiet period, in usual intervals of the sensor.
    no_data_intervals
        Number of a sensor's usual intervals without data after which it raises an alert.
    no_data_floor_seconds
        Shortest time without data that raises an alert, in seconds.
    retired_seconds
        Age of the newest window at which a sensor is retired and raises no alert any more, in seconds.
    flatline_seconds
        Time for which a sensor that normally varies may stay at one value, in seconds.
    window_seconds
        Length of a window, in seconds.
    """

    rules: AlertRules
    quiet_intervals: float = 5.0
    no_data_intervals: float = 10.0
    no_data_floor_seconds: int = 300
    retired_seconds: int = 7 * 86_400
    flatline_seconds: int = 3600
    window_seconds: int = 5


class NoDataLimits(NamedTuple):
    """Limits of the time without data: a number of usual intervals, and a floor."""

    intervals: float
    floor_seconds: int

    def seconds(self, interval_seconds: int, gap_seconds: int) -> int:
        """Return the time without data that raises an alert; it is at least twice the longest usual gap.

        Parameters
        ----------
        interval_seconds, gap_seconds
            Usual interval and longest usual gap of the sensor, in seconds.
        """
        return int(max(self.floor_seconds, self.intervals * interval_seconds, _USUAL_GAPS * gap_seconds))


class _Columns(NamedTuple):
    """Anomalous windows as columns of shape ``(n_windows,)``.

    ``sensor`` is the position of the window's sensor in ``keys``. ``low`` and ``high`` bound the expected range, NaN if
    the detector has none. ``end`` is in seconds since 1970-01-01T00:00:00Z.
    """

    keys: Sequence[SensorKey]
    sensor: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    severity: Sequence[str]


class AlertPolicy:
    """Decides which windows raise alerts, and with which ``k``, ``n`` and quiet period.

    Parameters
    ----------
    defaults
        Values of the settings.
    section
        Section ``alerts`` of ``sensorwatch.yaml``.
    downtimes
        Section ``maintenance`` of ``sensorwatch.yaml``.
    """

    def __init__(
        self,
        defaults: AlertDefaults,
        section: AlertSection | None = None,
        downtimes: Sequence[Downtime] = (),
    ) -> None:
        self.defaults = defaults
        self.section = section or AlertSection()
        self.downtime = DowntimePlan(downtimes, defaults.window_seconds)

    def rule_position(self, key: SensorKey) -> int | None:
        """Return the position of the first rule that matches a sensor; None if no rule matches."""
        return next((i for i, rule in enumerate(self.section.rules) if rule.matches(key)), None)

    def rule_name(self, key: SensorKey) -> str:
        """Return the name of the rule for a sensor, or :data:`NO_RULE`."""
        position = self.rule_position(key)
        return NO_RULE if position is None else self.section.rule_name(position)

    def rule(self, key: SensorKey) -> AlertRule:
        """Return the rule for a sensor; if no rule matches, a rule that changes nothing."""
        position = self.rule_position(key)
        return _DEFAULT_RULE if position is None else self.section.rules[position]

    def rules(self, key: SensorKey, profile: ReportingProfile | None = None) -> AlertRules:
        """Return a sensor's ``k``, ``n`` and quiet period.

        The quiet period lasts at least ``quiet_intervals`` usual intervals, unless a rule sets it. Earlier windows
        count over any usual gap, even if a rule sets a shorter quiet period: otherwise a slow sensor would never reach
        ``k`` windows. If a rule sets only one of ``k`` and ``n``, the other is adjusted so that ``k <= n``.

        Parameters
        ----------
        key
            The sensor.
        profile
            Its reporting profile; None: not known, so that settings and rules alone decide.
        """
        rule, default = self.rule(key), self.defaults.rules
        many = rule.recent_windows
        few = rule.anomalous_windows
        if few is None:
            few = default.anomalous_windows if many is None else min(default.anomalous_windows, many)
        if many is None:
            many = max(default.recent_windows, few)
        usual = 0 if profile is None else ceil(self.defaults.quiet_intervals * profile.interval_seconds)
        quiet = max(default.quiet_seconds, usual) if rule.quiet_seconds is None else rule.quiet_seconds
        longest_gap = 0 if profile is None else max(usual, profile.usual_gap_seconds)
        return AlertRules(few, many, quiet, longest_gap)

    def no_data_limits(self, key: SensorKey) -> NoDataLimits | None:
        """Return a sensor's limits for missing data; None if it is not watched for missing data."""
        rule = self.rule(key)
        if not rule.enabled or rule.no_data is False:
            return None
        own = rule.no_data if isinstance(rule.no_data, NoData) else NoData()
        return NoDataLimits(
            self.defaults.no_data_intervals if own.intervals is None else own.intervals,
            self.defaults.no_data_floor_seconds if own.at_least_seconds is None else own.at_least_seconds,
        )

    @property
    def lowest_no_data_limits(self) -> NoDataLimits:
        """Smallest limits of any sensor, which the store uses to preselect sensors."""
        own = [rule.no_data for rule in self.section.rules if rule.enabled and isinstance(rule.no_data, NoData)]
        defaults = self.defaults
        return NoDataLimits(
            min([defaults.no_data_intervals, *(each.intervals for each in own if each.intervals is not None)]),
            min(
                [
                    defaults.no_data_floor_seconds,
                    *(each.at_least_seconds for each in own if each.at_least_seconds is not None),
                ]
            ),
        )

    def flatline_seconds(self, key: SensorKey) -> int | None:
        """Return how long a sensor may stay at one value, in seconds; None if it is not watched for flatlines."""
        rule = self.rule(key)
        if not rule.enabled or rule.flatline is False:
            return None
        own = rule.flatline.seconds if isinstance(rule.flatline, Flatline) else None
        return self.defaults.flatline_seconds if own is None else own

    def suppressed_now(self, key: SensorKey, end: int) -> str:
        """Return why a sensor raises no alert of any kind at a given time; empty if it may.

        ``end`` is in seconds since 1970-01-01T00:00:00Z.
        """
        rule = self.rule(key)
        if why := self.downtime.reason(key, end):
            return why
        if not rule.enabled:
            return f"{self.rule_name(key)}: off"
        if rule.times is not None and not rule.times.allow(end):
            return f"{self.rule_name(key)}: not at this time"
        return ""

    def suppressions(self, anomalies: Sequence[Anomaly], keys: Mapping[int, SensorKey]) -> list[str]:
        """Return why each anomalous window raises no alert; empty for a window that may raise one.

        Conditions that need an expected range (direction, deviation) do not suppress a window that has none.

        Parameters
        ----------
        anomalies
            Anomalous windows in any order.
        keys
            Names of their sensors, by id.
        """
        import numpy as np

        if not self.section.rules and not self.downtime.entries:
            return [""] * len(anomalies)
        windows = _columns(anomalies, keys)
        reasons = np.full(len(windows.end), "", dtype=object)
        self.downtime.fill_reasons(reasons, windows.keys, windows.sensor, windows.end)
        of_key = [self.rule_position(key) for key in windows.keys]
        rule_of_window = np.array([-1 if i is None else i for i in of_key], dtype=np.int64)[windows.sensor]
        for position in np.unique(rule_of_window[rule_of_window >= 0]).tolist():
            rows = np.flatnonzero(rule_of_window == position)
            for held_back, why in _verdicts(self.section.rules[position], windows, rows):
                chosen = rows[held_back]
                chosen = chosen[reasons[chosen] == ""]
                reasons[chosen] = f"{self.section.rule_name(position)}: {why}"
        texts: list[str] = reasons.tolist()
        return texts


def _columns(anomalies: Sequence[Anomaly], keys: Mapping[int, SensorKey]) -> _Columns:
    import numpy as np

    def floats(name: str) -> npt.NDArray[np.float64]:
        values = (getattr(anomaly, name) for anomaly in anomalies)
        return np.fromiter((np.nan if value is None else value for value in values), np.float64, len(anomalies))

    ids, sensor = np.unique(
        np.fromiter((anomaly.sensor_id for anomaly in anomalies), np.int64, len(anomalies)), return_inverse=True
    )
    return _Columns(
        keys=[keys[sensor_id] for sensor_id in ids.tolist()],
        sensor=sensor,
        end=np.fromiter((anomaly.end for anomaly in anomalies), np.int64, len(anomalies)),
        value=floats("value"),
        low=floats("expected_low"),
        high=floats("expected_high"),
        severity=[anomaly.severity for anomaly in anomalies],
    )


def _verdicts(
    rule: AlertRule, windows: _Columns, rows: npt.NDArray[np.int64]
) -> list[tuple[npt.NDArray[np.bool_], str]]:
    """Return masks of the rows that a rule suppresses, each with its reason; the first reason counts."""
    import numpy as np

    if not rule.enabled:
        return [(np.ones(len(rows), np.bool_), "off")]
    found: list[tuple[npt.NDArray[np.bool_], str]] = []
    value, low, high = windows.value[rows], windows.low[rows], windows.high[rows]
    if rule.times is not None:
        ends, inverse = np.unique(windows.end[rows], return_inverse=True)
        allowed = np.array([rule.times.allow(end) for end in ends.tolist()], np.bool_)
        found.append((~allowed[inverse], "not at this time"))
    if rule.direction == "above":
        found.append((value <= high, "not above the expected range"))
    elif rule.direction == "below":
        found.append((value >= low, "not below the expected range"))
    beyond = np.maximum(np.maximum(low - value, value - high), 0.0)
    if rule.minimum_deviation:
        found.append((beyond < rule.minimum_deviation, f"deviation under {rule.minimum_deviation:g}"))
    if rule.minimum_relative_deviation:
        share = rule.minimum_relative_deviation
        found.append((beyond < share * (high - low), f"deviation under {share:g} of the expected range"))
    floor = _RANKS[rule.minimum_severity]
    if floor > min(_RANKS.values()):
        lower = [_RANKS.get(windows.severity[row], 0) < floor for row in rows.tolist()]
        found.append((np.array(lower, np.bool_), f"severity under {rule.minimum_severity}"))
    return found
