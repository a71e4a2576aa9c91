"""The use cases: each step does one thing to the ports it is given, and survives being done twice."""
