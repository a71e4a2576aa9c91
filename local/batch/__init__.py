"""A Batch service for one machine: the REST API of Azure Batch, for the unmodified SDK, with tasks as subprocesses."""
