"""A Batch service for one machine: the REST surface of Azure Batch over subprocesses, for the unmodified SDK."""
