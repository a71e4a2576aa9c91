"""Ensembles: members, their weights, calibration and scores over time."""
