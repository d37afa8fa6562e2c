"""The export of spans: what is lost of them is counted, span by span."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry

from app.telemetry.span_counts import SpanCounts, count_spans
from app.telemetry.span_export import SpanExport
from tests.support.waiting import until

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
NOTHING = {"queue_full": 0, "export_failed": 0, "shutdown": 0}


class Exporter(SpanExporter):
    """Does with each batch as it is told, and counts the spans of those that it takes."""

    def __init__(self, act: Callable[[], SpanExportResult] = lambda: SUCCESS) -> None:
        self.act = act
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self.act()
        if result is SUCCESS:
            self.taken += len(spans)
        return result

    def shutdown(self) -> None:
        """Holds nothing."""


class Exporting:
    def __init__(self, exporter: Exporter, queue_size: int) -> None:
        self.counts = SpanCounts()
        self.export = SpanExport(exporter, self.counts, queue_size)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.export)
        self.tracer = self.provider.get_tracer("test")

    def end_spans(self, number: int) -> None:
        for _ in range(number):
            self.tracer.start_span("call").end()


@contextmanager
def exporting(exporter: Exporter, queue_size: int = 1000) -> Iterator[Exporting]:
    at = Exporting(exporter, queue_size)
    yield at
    at.provider.shutdown()
    at.export.close()


def test_spans_that_the_exporter_takes_are_exported() -> None:
    exporter = Exporter()
    with exporting(exporter) as at:
        at.end_spans(700)
    assert (exporter.taken, at.counts.exported(), at.counts.dropped()) == (700, 700, NOTHING)


def test_a_full_queue_drops_exactly_what_does_not_fit_whatever_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")

    def slowly() -> SpanExportResult:
        time.sleep(0.001)
        return SUCCESS

    exporter = Exporter(slowly)
    with exporting(exporter, queue_size=16) as at:
        threads = [threading.Thread(target=at.end_spans, args=(500,)) for _ in range(16)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    dropped = at.counts.dropped()
    assert dropped["queue_full"] > 0
    assert exporter.taken > 16
    assert at.counts.exported() == exporter.taken
    assert exporter.taken + dropped["queue_full"] == 16 * 500
    assert dropped == NOTHING | {"queue_full": dropped["queue_full"]}


def test_the_queue_holds_as_many_spans_as_it_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    begun, go_on = threading.Event(), threading.Event()

    def blocked() -> SpanExportResult:
        begun.set()
        go_on.wait(5)
        return SUCCESS

    with exporting(Exporter(blocked), queue_size=20) as at:
        at.end_spans(10)
        assert begun.wait(5)
        at.end_spans(20)
        assert at.counts.dropped() == NOTHING
        at.end_spans(3)
        assert at.counts.dropped() == NOTHING | {"queue_full": 3}
        go_on.set()
    assert at.counts.exported() == 30


def raising() -> SpanExportResult:
    raise ValueError("a bug of the exporter")


@pytest.mark.parametrize("act", [lambda: FAILURE, raising])
def test_spans_that_the_exporter_does_not_take_are_dropped(act: Callable[[], SpanExportResult]) -> None:
    exporter = Exporter(act)
    with exporting(exporter) as at:
        at.end_spans(5)
        at.provider.force_flush()
        assert at.counts.dropped() == NOTHING | {"export_failed": 5}
        exporter.act = lambda: SUCCESS
        at.end_spans(2)
    assert (at.counts.exported(), at.counts.dropped()) == (2, NOTHING | {"export_failed": 5})


def test_spans_that_are_left_at_the_end_are_dropped_once() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def blocked() -> SpanExportResult:
        begun.set()
        go_on.wait(5)
        return SUCCESS

    exporter = Exporter(blocked)
    at = Exporting(exporter, 1000)
    at.end_spans(600)  # more than a batch
    assert begun.wait(5)
    at.export.close()
    assert at.counts.dropped() == NOTHING | {"shutdown": 600}
    at.end_spans(1)
    assert at.counts.dropped() == NOTHING | {"shutdown": 601}
    go_on.set()
    at.provider.shutdown()
    until(lambda: exporter.taken)
    at.export.close()
    assert (at.counts.exported(), at.counts.dropped()) == (0, NOTHING | {"shutdown": 601})


def test_spans_that_are_not_sampled_are_not_counted() -> None:
    exporter = Exporter()
    with exporting(exporter) as at:
        at.provider.sampler = ALWAYS_OFF
        at.tracer = at.provider.get_tracer("unsampled")
        at.end_spans(5)
    assert (exporter.taken, at.counts.exported(), at.counts.dropped()) == (0, 0, NOTHING)


def test_the_metrics_have_every_reason_from_the_start() -> None:
    registry, counts = CollectorRegistry(), SpanCounts()
    count_spans(registry, counts)
    for reason in NOTHING:
        assert registry.get_sample_value("otel_spans_dropped_total", {"reason": reason}) == 0
    counts.add_exported(3)
    counts.add_dropped("queue_full", 2)
    assert registry.get_sample_value("otel_spans_exported_total") == 3
    assert registry.get_sample_value("otel_spans_dropped_total", {"reason": "queue_full"}) == 2
