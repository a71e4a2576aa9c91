"""Backtests: replays of past runs with other models or rules, without a trace in the product."""
