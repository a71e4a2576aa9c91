"""Detectors: one file each, behind one protocol, found by name."""

from sensorwatch.detectors.base import (
    Comparing,
    Composed,
    Continuing,
    Detector,
    Expected,
    Expecting,
    Fitted,
    Followed,
    FollowingExpectations,
    Former,
    Remembering,
    Represented,
    Supervised,
    anomalous,
    calibration_of,
    follow,
    follow_expecting,
    training_scores,
)
from sensorwatch.detectors.registry import detector, detectors
from sensorwatch.detectors.series import Series

__all__ = [
    "Comparing",
    "Composed",
    "Continuing",
    "Detector",
    "Expected",
    "Expecting",
    "Fitted",
    "Followed",
    "FollowingExpectations",
    "Former",
    "Remembering",
    "Represented",
    "Series",
    "Supervised",
    "anomalous",
    "calibration_of",
    "detector",
    "detectors",
    "follow",
    "follow_expecting",
    "training_scores",
]
