"""Ensembles: members, their weights and calibration, and scores that adapt over time."""
