"""Series of windows, and arithmetic over many of them at once."""
