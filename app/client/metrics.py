"""The client's metrics: names, labels, label values and buckets are those of go-grpc-prometheus."""

import time
from threading import Lock
from weakref import WeakKeyDictionary

import grpc
from opentelemetry.trace import format_trace_id, get_current_span
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.client.interceptor import Metadata
from app.client.observer import Observation, Observer
from app.core.code import CODE_LABELS
from app.core.method import Method
from app.telemetry.metric_names import BUCKETS, LABELS

_made: "WeakKeyDictionary[CollectorRegistry, ClientMetrics]" = WeakKeyDictionary()
_making = Lock()


def metrics_in(registry: CollectorRegistry) -> "ClientMetrics":
    """Returns the metrics that all channels with this registry share: a registry accepts each name once."""
    with _making:
        if registry not in _made:
            _made[registry] = ClientMetrics(registry)
        return _made[registry]


class ClientMetrics(Observer):
    """Counts calls and messages, and measures the duration of calls in seconds, from start to end.

    A message counts as sent when grpc accepts it, and as received when the caller gets it. After the first
    call of a method, its series of all codes exist, at 0. Durations have the trace id of the current span as
    an exemplar if it is sampled; the OpenMetrics format shows exemplars.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*LABELS, *labels), registry=registry)

        self.started = counter("grpc_client_started_total", "Total number of RPCs started on the client.")
        self.handled = counter(
            "grpc_client_handled_total",
            "Total number of RPCs completed by the client, regardless of success or failure.",
            "grpc_code",
        )
        self.received = counter(
            "grpc_client_msg_received_total", "Total number of RPC stream messages received by the client."
        )
        self.sent = counter(
            "grpc_client_msg_sent_total", "Total number of gRPC stream messages sent by the client."
        )
        self.seconds = Histogram(
            "grpc_client_handling_seconds",
            "Histogram of response latency (seconds) of the gRPC until it is finished by the application.",
            LABELS,
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "grpc_client_in_flight", "Number of RPCs started and not yet over.", LABELS, registry=registry
        )
        self._series: dict[Method, _Series] = {}

    def start(self, method: Method, metadata: Metadata) -> tuple[Observation, Metadata]:
        series = self._series.get(method)
        if series is None:
            series = self._series[method] = _Series(self, method)
        series.started.inc()
        series.in_flight.inc()
        return _CallMetrics(series), metadata


class _Series:
    """The series of one method, which are looked up once."""

    def __init__(self, metrics: ClientMetrics, method: Method) -> None:
        labels = (method.arity.value, method.service, method.name)
        self.started = metrics.started.labels(*labels)
        self.received = metrics.received.labels(*labels)
        self.sent = metrics.sent.labels(*labels)
        self.seconds = metrics.seconds.labels(*labels)
        self.in_flight = metrics.in_flight.labels(*labels)
        self.handled = {code: metrics.handled.labels(*labels, label) for code, label in CODE_LABELS.items()}


class _CallMetrics(Observation):
    def __init__(self, series: _Series) -> None:
        self._series = series
        self._began = time.perf_counter()
        trace = get_current_span().get_span_context()
        self._exemplar = {"trace_id": format_trace_id(trace.trace_id)} if trace.trace_flags.sampled else None

    def sent(self) -> None:
        self._series.sent.inc()

    def received(self) -> None:
        self._series.received.inc()

    def ended(self, code: grpc.StatusCode) -> None:
        series = self._series
        series.in_flight.dec()
        series.handled[code].inc()
        series.seconds.observe(time.perf_counter() - self._began, self._exemplar)
