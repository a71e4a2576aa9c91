"""Alerts: the rules that open and clear them (pure), and the sinks that tell the outside."""
