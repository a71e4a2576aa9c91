"""The HTTP API: one file per resource, a line for each in :mod:`sensorwatch.api.app`."""
