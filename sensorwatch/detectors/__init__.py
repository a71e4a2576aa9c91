"""Detectors: one file each, behind one protocol, found by name."""

from sensorwatch.detectors.base import (
    Comparing,
    Composed,
    Detector,
    Expected,
    Expecting,
    Fitted,
    Followed,
    FollowingExpectations,
    Remembering,
    Represented,
    Series,
    Supervised,
    anomalous,
    calibration_of,
    follow,
    follow_expecting,
    training_scores,
)
from sensorwatch.detectors.registry import detector, detectors

__all__ = [
    "Comparing",
    "Composed",
    "Detector",
    "Expected",
    "Expecting",
    "Fitted",
    "Followed",
    "FollowingExpectations",
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
