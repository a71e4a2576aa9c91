"""Series of windows, and computations over many series at once."""
