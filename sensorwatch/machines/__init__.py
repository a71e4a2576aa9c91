"""Predictive maintenance: the risk that a component of a machine fails soon.

``docs/concepts/predictive-maintenance.md`` describes the method.

Not to be confused with the calendars of planned maintenance that keep alerts quiet
(:mod:`sensorwatch.sensors.downtime`).
"""
