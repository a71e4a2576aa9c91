"""Detectors: one file each behind one contract (:mod:`sensorwatch.detectors.base`), made by name in the factory."""
