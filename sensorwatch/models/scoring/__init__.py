"""Scoring of a shard: predictions, detector checkpoints, explanations."""
