"""Sensorwatch: one anomaly model for every sensor of an IoT fleet."""
