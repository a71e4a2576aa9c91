"""Triggers of the function app. Each unpacks its binding, calls one use case and logs the outcome."""
