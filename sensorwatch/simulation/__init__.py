"""Simulated fleets of sensors, with faults and their labels, for the demo, tests and benchmarks."""
