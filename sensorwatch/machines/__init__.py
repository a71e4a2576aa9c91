"""Predictive maintenance: the risk that a component of a machine fails soon.

``docs/concepts/predictive-maintenance.md`` describes the method.

Planned downtime, during which no alerts open, is a different subject
(:mod:`sensorwatch.sensors.downtime`).
"""
