"""Training of a shard: ranges of windows, choice of the detector, promotion."""
