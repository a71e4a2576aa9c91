"""Evaluation of detectors on labelled series: files, metrics, comparisons and reports."""
