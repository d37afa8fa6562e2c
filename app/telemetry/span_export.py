"""The export of spans in the background, with a count of those that are lost."""

import time
from collections.abc import Sequence
from threading import RLock

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.telemetry.span_counts import SpanCounts

# Seconds between two warnings that the queue is full.
_REPORT = 20.0


class SpanExport(SpanProcessor):
    """The SDK's batches for one exporter. Of each sampled span that ended, it counts what became of it.

    The SDK counts neither spans that are left when it shuts down nor retries that a shutdown ends, and
    miscounts a full queue if several threads end spans. So the queue is bounded here: beyond `queue_size`, a
    span that ends is dropped, as OpenTelemetry's specification has it, and the SDK's queue is never full.
    """

    def __init__(self, exporter: SpanExporter, counts: SpanCounts, queue_size: int) -> None:
        self._counts = counts
        self._most = queue_size
        self._lock = RLock()  # a thread may end a span while it ends one, in a finalizer
        self._waiting = 0
        self._exporting = 0
        self._closed = False
        self._reported_at = float("-inf")
        self._batches = BatchSpanProcessor(_Counted(exporter, self), max_queue_size=queue_size)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Does nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            admitted = not self._closed and self._waiting < self._most
            if admitted:
                self._waiting += 1
        if admitted:
            self._batches.on_end(span)
        elif self._closed:
            self._counts.add_dropped("shutdown")
        else:
            self._counts.add_dropped("queue_full")
            self._report()

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at >= _REPORT:
            self._reported_at = now
            structlog.get_logger().warning("spans_dropped", **self._counts.dropped())

    def begin_export(self, spans: int) -> None:
        with self._lock:
            self._waiting -= spans
            self._exporting += spans

    def end_export(self, spans: int, *, exported: bool) -> None:
        with self._lock:
            if self._closed:  # and counted as dropped
                return
            self._exporting -= spans
            if exported:
                self._counts.add_exported(spans)
            else:
                self._counts.add_dropped("export_failed", spans)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Exports what waits. May block for as long as the exporter does."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Counts what has not been exported as dropped, and every span that ends later."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._counts.add_dropped("shutdown", self._waiting + self._exporting)


class _Counted(SpanExporter):
    """An exporter that tells what became of each batch."""

    def __init__(self, exporter: SpanExporter, export: SpanExport) -> None:
        self._exporter = exporter
        self._export = export

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._export.begin_export(len(spans))
        exported = False
        try:
            result = self._exporter.export(spans)
            exported = result is SpanExportResult.SUCCESS
        finally:
            self._export.end_export(len(spans), exported=exported)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
