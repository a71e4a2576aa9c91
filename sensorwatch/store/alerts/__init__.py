"""Alerts in SQL: anomalies, state of alerts, actions of people, outbox, missing data and flatlines."""
