"""Alerts: rules, incidents, people's actions, and notifications through sinks."""
