"""Backtests: training, scoring and alerting on a past range, without storing anything."""
