"""Ingestion status by partition."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.api.requests import ReadContext

__all__ = ["router"]

router = APIRouter(tags=["ingestion"])


class PartitionCounts(BaseModel):
    """Newest ingested event of a partition, and counts of readings since it was first read."""

    hub: str
    consumer_group: str
    partition_id: str
    sequence_number: int
    enqueued_time: datetime
    received: int = Field(description="`accepted + late + duplicate + invalid`.")
    accepted: int
    late: int
    duplicate: int
    invalid: int


class IngestStatus(BaseModel):
    """Ingestion status of all partitions."""

    partitions: list[PartitionCounts]


@router.get("/api/ingest-status")
def ingest_status(context: ReadContext) -> IngestStatus:
    """Show the newest event and the counts of readings of each partition."""
    return IngestStatus(
        partitions=[
            PartitionCounts(
                **status.partition._asdict(),
                sequence_number=status.checkpoint.sequence_number,
                enqueued_time=status.checkpoint.enqueued_time,
                **status.counts._asdict(),
            )
            for status in context.product.store.ingest_status()
        ]
    )
