"""Predictive maintenance: the risk that a machine's component fails soon (pure).

``docs/concepts/predictive-maintenance.md`` describes the method.

Not to be confused with the calendars of planned maintenance that keep alerts quiet
(:mod:`sensorwatch.sensors.downtime`).
"""
