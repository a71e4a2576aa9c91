"""Section ``alerts`` of ``sensorwatch.yaml``, and beside it planned downtime (``maintenance``).

::

    alerts:
      rules:                             # the first rule that matches a sensor decides
        - name: presses
          device: press-*
          direction: above               # of the expected range: above, below, or both (the default)
          minimum_deviation: 2.5         # beyond the expected range, in the sensor's unit
          minimum_relative_deviation: 0.2  # beyond the expected range, as a share of its width
          minimum_severity: medium
          anomalous_windows: 4           # of the recent windows open an alert; by default as the settings say
          recent_windows: 6
          quiet_seconds: 600
          times:
            time_zone: Europe/Berlin
            only: [{days: mon-fri, from: 06:00, to: 22:00}]
            never: [{days: [sat, sun]}]
          no_data: {intervals: 20, at_least_seconds: 600}   # or false
          flatline: {seconds: 7200}      # or false
        - tag: test-*
          enabled: false
    maintenance:
      - device: press-*
        from: 2026-12-01 06:00
        to: 2026-12-01 18:00
        time_zone: Europe/Berlin
        why: yearly service
      - calendar: maintenance.ics        # an iCalendar file beside this one
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sensorwatch.sensors.alert_times import Times
from sensorwatch.sensors.patterns import Section, SensorPattern

__all__ = ["SEVERITIES", "AlertRule", "AlertSection", "Direction", "Flatline", "NoData", "Severity"]

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
"""Severities of anomalies and alerts, least severe first."""

Direction = Literal["above", "below"]
"""Side of the expected range."""


class NoData(Section):
    """Limits of an alert for a sensor without data; by default those of the settings."""

    intervals: float | None = Field(default=None, gt=0)
    at_least_seconds: int | None = Field(default=None, ge=1)


class Flatline(Section):
    """Limit of an alert for a sensor that does not vary; by default that of the settings."""

    seconds: int | None = Field(default=None, ge=1)


class AlertRule(SensorPattern):
    """A rule: the conditions under which the sensors that match raise alerts."""

    name: str = Field(default="", max_length=100)
    enabled: bool = True
    direction: Direction | Literal["both"] = "both"
    minimum_deviation: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    minimum_relative_deviation: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    minimum_severity: Severity = "low"
    anomalous_windows: int | None = Field(default=None, ge=1)
    recent_windows: int | None = Field(default=None, ge=1, le=1000)
    quiet_seconds: int | None = Field(default=None, ge=0)
    times: Times | None = None
    no_data: NoData | bool = True
    flatline: Flatline | bool = True

    @model_validator(mode="after")
    def _anomalous_among_recent(self) -> AlertRule:
        few, many = self.anomalous_windows, self.recent_windows
        if few is not None and many is not None and few > many:
            raise ValueError(f"`anomalous_windows` ({few}) must not exceed `recent_windows` ({many})")
        return self


class AlertSection(Section):
    """The section ``alerts``."""

    rules: tuple[AlertRule, ...] = ()

    @model_validator(mode="after")
    def _distinct_names(self) -> AlertSection:
        names = [rule.name for rule in self.rules if rule.name]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules: expected distinct names, got `{twice[0]}` twice")
        return self

    def rule_name(self, position: int) -> str:
        """Return the name of a rule, or ``rule N`` with its position counted from 1."""
        return self.rules[position].name or f"rule {position + 1}"
