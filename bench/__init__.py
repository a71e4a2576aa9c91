"""Benchmarks: ``python -m bench`` runs all of them, next to alternatives for the same work."""
