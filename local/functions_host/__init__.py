"""A Functions host for one machine: a Python v2 app's triggers over the real protocols and the real converters."""
