"""The metrics of go-grpc-prometheus: its names, labels, label values and buckets."""

from google.protobuf.message import Message
from prometheus_client import CollectorRegistry, Counter, Histogram

from app.core.call import Call
from app.core.code import CODE_LABELS
from app.core.method import Method
from app.interceptors.concern import Concern

# prometheus.DefBuckets of the Go client; Python's own default is another.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_LABELS = ("grpc_type", "grpc_service", "grpc_method")


class Metrics(Concern):
    """Counts calls and messages, and times calls from acceptance to end, in seconds.

    Every series of a served method exists from the start, at 0, so that a rate over a first error is right.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*_LABELS, *labels), registry=registry)

        self.started = counter("grpc_server_started_total", "Total number of RPCs started on the server.")
        self.handled = counter(
            "grpc_server_handled_total",
            "Total number of RPCs completed on the server, regardless of success or failure.",
            "grpc_code",
        )
        self.received = counter(
            "grpc_server_msg_received_total", "Total number of RPC stream messages received on the server."
        )
        self.sent = counter(
            "grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server."
        )
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Histogram of response latency (seconds) of gRPC that had been application-level handled"
            " by the server.",
            _LABELS,
            buckets=BUCKETS,
            registry=registry,
        )

    def for_method(self, method: Method) -> Concern:
        return _MethodMetrics(self, method)


class _MethodMetrics(Concern):
    """The series of one method, looked up once."""

    def __init__(self, metrics: Metrics, method: Method) -> None:
        labels = (method.arity.value, method.service, method.name)
        self._started = metrics.started.labels(*labels)
        self._received = metrics.received.labels(*labels)
        self._sent = metrics.sent.labels(*labels)
        self._seconds = metrics.seconds.labels(*labels)
        self._handled = {code: metrics.handled.labels(*labels, label) for code, label in CODE_LABELS.items()}

    def accept(self, call: Call) -> None:
        del call
        self._started.inc()

    def receive(self, call: Call, message: Message) -> None:
        del call, message
        self._received.inc()

    def send(self, call: Call, message: Message) -> None:
        del call, message
        self._sent.inc()

    def end(self, call: Call) -> None:
        if call.status is not None:
            self._handled[call.status].inc()
            self._seconds.observe(call.duration)
