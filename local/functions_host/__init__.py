"""A Functions host for one machine: the triggers of a Python v2 app, with the real protocols and converters."""
