"""Connections to the database: engine, retries, sign-in, column types."""
