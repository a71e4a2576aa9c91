"""Scheduling: planning of runs, submission to the Batch pool, and the sweep that follows them up."""
