"""Detectors: one file each, behind one protocol, found by name."""

from sensorwatch.detectors.base import (
    Comparing,
    Detector,
    Expected,
    Expecting,
    Fitted,
    Remembering,
    Series,
    Supervised,
    after,
    anomalous,
    calibration_of,
)
from sensorwatch.detectors.registry import detector, detectors

__all__ = [
    "Comparing",
    "Detector",
    "Expected",
    "Expecting",
    "Fitted",
    "Remembering",
    "Series",
    "Supervised",
    "after",
    "anomalous",
    "calibration_of",
    "detector",
    "detectors",
]
