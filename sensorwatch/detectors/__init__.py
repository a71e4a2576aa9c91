"""Detectors: one file each, behind one protocol, found by name."""

from sensorwatch.detectors.base import Detector, Fitted, Series, anomalous
from sensorwatch.detectors.registry import detector, detectors

__all__ = ["Detector", "Fitted", "Series", "anomalous", "detector", "detectors"]
