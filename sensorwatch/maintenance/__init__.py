"""Predictive maintenance: which component of which machine is about to fail (pure; ``docs/concepts/predictive-maintenance.md``).

Not to be confused with the calendars of planned maintenance that keep alerts quiet
(:mod:`sensorwatch.alerting.maintenance`).
"""
