"""Ingestion: from the events of a partition to windows in SQL, exactly once."""
