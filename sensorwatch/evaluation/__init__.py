"""How good detectors are: labelled series, metrics, and the comparison of detectors on them."""
