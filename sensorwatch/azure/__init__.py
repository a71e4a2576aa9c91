"""Clients of Azure services that more than one domain uses."""
