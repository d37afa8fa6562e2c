"""The metrics of go-grpc-prometheus: its names, labels, label values and buckets."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from google.protobuf.message import Message
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from app.core.call import Call
from app.core.code import CODE_LABELS
from app.core.method import Arity, Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern
from app.telemetry.metric_names import BUCKETS, LABELS


class Metrics(Concern, Collector):
    """Counts calls and messages, and times calls from acceptance to end, in seconds.

    Every series of a served method exists from the start, at 0, so that a rate over a first error is right.
    Beyond Go's metrics there are `grpc_server_in_flight`, the calls that have been accepted and whose reply
    has not been sent, and `grpc_server_refused_total` by reason. In OpenMetrics, the histogram's buckets have
    the trace id of the last sampled call as exemplar.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._methods: list[_MethodMetrics] = []
        registry.register(self)

    def for_method(self, method: Method) -> Concern:
        one_reply = method.arity in {Arity.UNARY, Arity.CLIENT_STREAM}
        self._methods.append((_OneReplyMetrics if one_reply else _MethodMetrics)(method))
        return self._methods[-1]

    def open_calls(self) -> list[Call]:
        """The calls that have been accepted and whose reply has not been sent. Safe from any thread."""
        return [call for method in self._methods for call in tuple(method.open)]

    def collect(self) -> Iterable[Metric]:
        families = _families()
        for method in self._methods:
            method.add_to(families)
        return families

    def describe(self) -> Iterable[Metric]:
        return _families()


class _Families(NamedTuple):
    started: CounterMetricFamily
    handled: CounterMetricFamily
    received: CounterMetricFamily
    sent: CounterMetricFamily
    seconds: HistogramMetricFamily
    in_flight: GaugeMetricFamily
    refused: CounterMetricFamily


def _families() -> _Families:
    return _Families(
        CounterMetricFamily(
            "grpc_server_started", "Total number of RPCs started on the server.", labels=LABELS
        ),
        CounterMetricFamily(
            "grpc_server_handled",
            "Total number of RPCs completed on the server, regardless of success or failure.",
            labels=(*LABELS, "grpc_code"),
        ),
        CounterMetricFamily(
            "grpc_server_msg_received",
            "Total number of RPC stream messages received on the server.",
            labels=LABELS,
        ),
        CounterMetricFamily(
            "grpc_server_msg_sent", "Total number of gRPC stream messages sent by the server.", labels=LABELS
        ),
        HistogramMetricFamily(
            "grpc_server_handling_seconds",
            "Histogram of response latency (seconds) of gRPC that had been application-level handled"
            " by the server.",
            labels=LABELS,
        ),
        GaugeMetricFamily(
            "grpc_server_in_flight",
            "Number of RPCs accepted by the server whose reply has not been sent yet.",
            labels=LABELS,
        ),
        CounterMetricFamily(
            "grpc_server_refused",
            "Total number of RPCs that the server refused before its handler ran, by reason.",
            labels=(*LABELS, "reason"),
        ),
    )


class _MethodMetrics(Concern):
    """The series of one method, under one lock: a fraction of what a stock counter each would cost."""

    _one_reply = False  # whether replies are counted only at the end

    def __init__(self, method: Method) -> None:
        self._labels = (method.arity.value, method.service, method.name)
        self._lock = Lock()
        self.open: set[Call] = set()
        self._started = self._received = self._sent = 0
        self._handled = dict.fromkeys(CODE_LABELS.values(), 0)
        self._refused: Counter[str] = Counter({reason.value: 0 for reason in Refusal})
        self._seconds = 0.0
        self._in_bucket = [0] * (len(BUCKETS) + 1)
        self._exemplars: list[Exemplar | None] = [None] * (len(BUCKETS) + 1)

    def accept(self, call: Call) -> None:
        self._started += 1  # without the lock: one thread accepts all calls
        self.open.add(call)

    def receive(self, call: Call, message: Message) -> None:
        self._lock.acquire()  # not `with`, which takes twice as long
        self._received += 1
        self._lock.release()

    def send(self, call: Call, message: Message) -> None:
        self._lock.acquire()
        self._sent += 1
        self._lock.release()

    def end(self, call: Call) -> None:
        seconds = call.duration
        bucket = bisect_left(BUCKETS, seconds)
        self._lock.acquire()
        try:
            self._handled[call.code_label] += 1
            if self._one_reply:
                self._sent += call.sent
            self._seconds += seconds
            self._in_bucket[bucket] += 1
            if call.refusal:
                self._refused[call.refusal] += 1
            if call.sampled:
                self._exemplars[bucket] = Exemplar({"trace_id": call.trace_id}, seconds, time.time())
        finally:
            self._lock.release()

    def close(self, call: Call) -> None:
        self.open.discard(call)

    def add_to(self, to: _Families) -> None:
        with self._lock:
            counts = self._started, self._received, self._sent, self._seconds, len(self.open)
            by_code, by_reason = dict(self._handled), dict(self._refused)
            in_bucket, exemplars = list(self._in_bucket), list(self._exemplars)
        labels = self._labels
        to.started.add_metric(labels, counts[0])
        for code, count in by_code.items():
            to.handled.add_metric((*labels, code), count)
        to.received.add_metric(labels, counts[1])
        to.sent.add_metric(labels, counts[2])
        to.seconds.add_metric(labels, _cumulative(in_bucket, exemplars), counts[3])
        to.in_flight.add_metric(labels, counts[4])
        for reason, count in by_reason.items():
            to.refused.add_metric((*labels, reason), count)


class _OneReplyMetrics(_MethodMetrics):
    """Counts the one reply together with the call's end, which follows at once."""

    _one_reply = True
    send = Concern.send


def _cumulative(in_bucket: Sequence[int], exemplars: Sequence[Exemplar | None]) -> list[Any]:
    """Each bucket's upper bound, how many were at most that, and its exemplar."""
    bounds = [*(repr(float(bound)) for bound in BUCKETS), "+Inf"]
    return [
        (bound, sum(in_bucket[: position + 1]), exemplar)
        for position, (bound, exemplar) in enumerate(zip(bounds, exemplars, strict=True))
    ]
