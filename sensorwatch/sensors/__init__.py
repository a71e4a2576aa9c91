"""Sensors: key, status, states, patterns, reporting profile, windows, labels, calendars and downtime."""
