"""Sensorwatch: one anomaly model for every sensor of an IoT fleet."""

__all__ = ["__version__"]

__version__ = "0.2.0"
"""The version of the package. `pyproject.toml` reads it from here."""
