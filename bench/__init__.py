"""Benchmarks: ``python -m bench`` runs all of them, side by side with what else could do the work."""
