"""Scoring readings as they arrive: what is remembered of sensors, models in use, calls under a deadline, deciders."""
