"""A running server for tests, and everything that it wrote down."""

import io
import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from app.core.section import variable
from app.core.service import Service
from app.server import RunningServer, serving
from app.settings import Settings, load
from app.telemetry.logs import Lines, logs
from tests.support.servers.probe import PROBE

TOKEN = "a-token-for-tests-only"  # noqa: S105 - it guards nothing

Labels = dict[str, str]

# What the log says of a drain, step by step.
DRAIN_STEPS = [
    "signal_received",
    "drain_started",
    "drain_refusing_new_calls",
    "drain_calls_ended",
    "drain_threads_ended",
    "spans_flushed",
    "stopped",
]


class Server:
    """A server on a port of its own, with its spans, log lines and metrics at hand."""

    def __init__(
        self, handle: RunningServer, spans: InMemorySpanExporter, lines: Lines, log: io.StringIO
    ) -> None:
        self.handle = handle
        self.target = str(handle.addresses[0])
        self._spans = spans
        self._lines = lines
        self._log = log

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._spans.get_finished_spans()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of that event."""
        read = [json.loads(line) for line in self.log_text().splitlines()]
        return [line for line in read if line["event"] == event]

    def calls(self) -> list[dict[str, Any]]:
        """The access log."""
        return self.lines("call")

    def log_text(self) -> str:
        self._lines.flush()
        return self._log.getvalue()

    def get(self, path: str) -> tuple[int, str]:
        """What the metrics port answers: status and body."""
        request = urllib.request.Request(f"http://{self.handle.metrics[0]}{path}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def samples(self, name: str) -> list[tuple[Labels, float]]:
        """A metric's samples, as Prometheus would scrape them."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        return sum(
            value for found, value in self.samples(name) if all(found[key] == labels[key] for key in labels)
        )

    def handled(self) -> dict[tuple[str, str, str], float]:
        """Counts of ended calls by service, method and code; zeros left out."""
        return {
            (labels["grpc_service"], labels["grpc_method"], labels["grpc_code"]): value
            for labels, value in self.samples("grpc_server_handled_total")
            if value
        }


def settings(serve: Sequence[Service[Any]] = (PROBE,), **changes: Any) -> Settings:
    """Settings for a server on ports that the system chooses, without a drain delay.

    Each change is the name of a setting of any section, and its value.
    """
    given: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "drain_delay": 0,
        "drain_grace": 5,
    }
    return load({variable(name): text(value) for name, value in (given | changes).items()}, serve)


def text(value: object) -> str:
    """A value as a variable has it."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


@contextmanager
def running(
    serve: Sequence[Service[Any]] = (PROBE,),
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    spans: TracerProvider | None = None,
    **changes: Any,
) -> Iterator[Server]:
    """Starts a server that serves the probe, unless told otherwise; `changes` are its settings."""
    log = io.StringIO()
    exporter = InMemorySpanExporter()
    provider = spans or TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with (
        logs("debug", "json", log) as lines,
        serving(settings(serve, **changes), serve, interceptors, provider) as handle,
    ):
        yield Server(handle, exporter, lines, log)
    provider.shutdown()
