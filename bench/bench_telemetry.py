"""Benchmark of telemetry in ingestion: without an exporter, and with one that drops its input."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from bench.bench_step import dead_letters
from bench.measure import Size, compare, print_line
from bench.workload import SENSORS, events
from sensorwatch.app import Product
from sensorwatch.ingestion.records import IngestCounts, Partition, RawEvent
from sensorwatch.settings import load_settings
from sensorwatch.telemetry.providers import Providers, use

QUICK = Size(readings=5_000, rounds=1)
FULL = Size(readings=100_000, rounds=9)
_BATCH = 1_000
_PARTITION = Partition("readings", "$Default", "0")
_SENDERS = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 21)]
_REPEATS = 10


class _Dropped(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Free(Product):
    """The product with telemetry as usual, and with an ingestion that does nothing."""

    @property
    def _ingest(self) -> Callable[[Partition, Sequence[RawEvent]], IngestCounts]:  # type: ignore[override]
        return lambda _, events: IngestCounts(len(events), len(events), 0, 0, 0)


def run(size: Size) -> dict[str, object]:
    """Measure a batch of 1,000 readings and the share of telemetry; return milliseconds and shares."""
    batches = size.readings // _BATCH
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"DATABASE_URL": f"sqlite:///{folder}/{Path(folder).name}.db"})
        product, free = Product(settings), _Free(settings)
        product.__dict__["dead_letters"] = dead_letters()
        product.ingest(_PARTITION, events(0, SENSORS))
        streams = iter([events(SENSORS + at * _BATCH, _BATCH) for at in range(batches * size.rounds)])
        one = events(0, _BATCH)

        def real() -> None:
            for _ in range(batches):
                product.ingest(_PARTITION, next(streams))

        def observed(senders: Sequence[str], providers: Providers) -> None:
            before = use(providers)
            for _ in range(batches * _REPEATS):
                free.ingest(_PARTITION, one, senders)
            use(before)

        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(_Dropped()))
        exporting = Providers(tracers, MeterProvider([InMemoryMetricReader()]))
        ways = {
            "no exporter": partial(observed, (), Providers(None, None)),
            "an exporter, no senders that trace": partial(observed, (), exporting),
            "an exporter, 20 senders that trace": partial(observed, _SENDERS, exporting),
        }
        step, *added = compare({"the step": real, **ways}, batches, size.rounds)
        product.store.dispose()
        tracers.shutdown()
    whole = statistics.median(step.rates)
    figures: dict[str, object] = {"batch_ms": 1000 / whole}
    print_line(f"Telemetry of a batch of 1,000 readings, which takes {1000 / whole:.2f} ms of CPU:")
    for result in added:
        milliseconds = 1000 / statistics.median(result.rates) / _REPEATS
        figures[result.name] = milliseconds
        print_line(f"  {result.name}: {1000 * milliseconds:.0f} µs, {100 * milliseconds * whole / 1000:.2f} %")
    return {"telemetry": figures}
