"""Alerts in SQL: rows, life cycle, outbox, and what is watched between windows."""
