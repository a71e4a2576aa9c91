"""Batch tasks: their specifications, the files that they write, and their logs."""
