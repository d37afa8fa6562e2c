"""What became of the spans that were to be exported."""

from collections.abc import Iterator
from threading import RLock
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

# queue_full: OTEL_BSP_MAX_QUEUE_SIZE spans waited, because the collector is slow or gone. export_failed: the
# collector refused them, or did not answer within the exporter's timeout. shutdown: they were not exported
# when the time for the last spans was over.
Reason = Literal["queue_full", "export_failed", "shutdown"]
REASONS: tuple[Reason, ...] = ("queue_full", "export_failed", "shutdown")


class SpanCounts:
    """Counts spans that were exported, and those that were dropped by reason; each once for each exporter.

    A thread may add while it adds: garbage collection runs code that ends spans.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._exported = 0
        self._dropped: dict[Reason, int] = dict.fromkeys(REASONS, 0)

    def add_exported(self, spans: int) -> None:
        with self._lock:
            self._exported += spans

    def add_dropped(self, reason: Reason, spans: int = 1) -> None:
        with self._lock:
            self._dropped[reason] += spans

    def exported(self) -> int:
        with self._lock:
            return self._exported

    def dropped(self) -> dict[Reason, int]:
        with self._lock:
            return dict(self._dropped)


def count_spans(registry: CollectorRegistry, counts: SpanCounts) -> None:
    """Registers `otel_spans_exported_total` and `otel_spans_dropped_total`."""
    registry.register(_Metric(counts))


class _Metric(Collector):
    """Reads the counts when it is scraped."""

    def __init__(self, counts: SpanCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "otel_spans_exported", "Spans that a collector has taken.", value=self._counts.exported()
        )
        dropped = CounterMetricFamily("otel_spans_dropped", "Spans dropped, by reason.", labels=["reason"])
        for reason, count in self._counts.dropped().items():
            dropped.add_metric([reason], count)
        yield dropped
