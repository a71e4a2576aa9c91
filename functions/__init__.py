"""Thin triggers: unpack the binding, call one step, log the outcome."""
