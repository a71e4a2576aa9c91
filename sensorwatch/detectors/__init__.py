"""Detectors: one file each behind one contract (:mod:`sensorwatch.detectors.base`), found by name in the registry."""
