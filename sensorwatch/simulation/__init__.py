"""A fleet of sensors that behaves like one: for the demo, the tests and the benchmarks."""
