"""Batch tasks: specifications, states, prediction files and logs."""
