"""Spans and metrics of outgoing calls, however they end."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from app.client.channel import channel as open_channel
from app.client.observer import Observation, Observer, ObserverInterceptor
from app.core.code import CODE_LABELS
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS, TYPES
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

# How a call of each method is begun without waiting for it.
BEGIN: dict[str, Callable[..., Any]] = {
    "Unary": lambda stub, **how: stub.Unary.future(pb.ProbeRequest(text="a"), **how),
    "ServerStream": lambda stub, **how: stub.ServerStream(pb.ProbeRequest(text="a"), **how),
    "ClientStream": lambda stub, **how: stub.ClientStream.future(iter([pb.ProbeRequest(text="a")]), **how),
    "BidiStream": lambda stub, **how: stub.BidiStream(iter([pb.ProbeRequest(text="a")]), **how),
}
UNARY, STREAMED = ["Unary", "ClientStream"], ["ServerStream", "BidiStream"]


class Spans:
    """A tracer provider, and the spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def __call__(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


class Client:
    """A channel that is traced and counted, and what was written down of its calls."""

    def __init__(self, target: str) -> None:
        self.spans = Spans()
        self.registry = CollectorRegistry()
        self.channel = open_channel(target, tracing=self.spans.provider, metrics=self.registry)
        self.stub: Any = probe_pb2_grpc.ProbeStub(self.channel)

    def samples(self, name: str, method: str) -> dict[str, float]:
        """A metric's samples of that method, by code, bucket or ''."""
        return {
            sample.labels.get("grpc_code") or sample.labels.get("le", ""): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and sample.labels["grpc_method"] == method
        }

    def ended(self, method: str) -> str:
        """The code of the only call, which is over, of that method; fails where span and metrics disagree."""
        [span] = until(self.spans)
        [code] = [code for code, count in self.samples("grpc_client_handled_total", method).items() if count]
        numbers = {label: one.value[0] for one, label in CODE_LABELS.items()}
        assert (span.attributes or {})["rpc.method"] == method
        assert (span.attributes or {})["rpc.grpc.status_code"] == numbers[code]
        assert span.status.status_code is (StatusCode.UNSET if code == "OK" else StatusCode.ERROR)
        assert self.samples("grpc_client_handled_total", method)[code] == 1
        assert self.samples("grpc_client_started_total", method) == {"": 1}
        assert self.samples("grpc_client_handling_seconds_count", method) == {"": 1}
        assert self.samples("grpc_client_in_flight", method) == {"": 0}
        return code

    def messages(self, method: str) -> tuple[float, float]:
        """How many were sent and received."""
        [sent] = self.samples("grpc_client_msg_sent_total", method).values()
        [received] = self.samples("grpc_client_msg_received_total", method).values()
        return sent, received


@pytest.fixture(scope="module")
def one_server() -> Iterator[ProbeServer]:
    with probe_server() as started:
        yield started


@pytest.fixture
def at(one_server: ProbeServer) -> ProbeServer:
    """The server, with a probe that does what it does from the start."""
    one_server.probe.__init__()  # type: ignore[misc]  # its fields are all that a test may have changed
    return one_server


@pytest.fixture
def client(at: ProbeServer) -> Iterator[Client]:
    with closing(at) as opened:
        yield opened


@contextmanager
def closing(at: ProbeServer) -> Iterator[Client]:
    opened = Client(at.server.target)
    yield opened
    opened.channel.close()


def openmetrics(registry: CollectorRegistry) -> str:
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


def abort(code: grpc.StatusCode) -> Callable[..., None]:
    def act(*given: Any) -> None:
        given[-1].abort(code, "s3cret")

    return act


def wait(*given: Any) -> None:
    """Holds the handler until its client leaves."""
    given[-1].wait(30)


@pytest.mark.parametrize("method", CALLS)
def test_a_call_that_succeeds(client: Client, method: str) -> None:
    CALLS[method](client.stub)
    assert client.ended(method) == "OK"
    assert client.messages(method) == (1, 2 if method in STREAMED else 1)
    [span] = client.spans()
    assert span.name == f"/probe.Probe/{method}"
    assert span.kind is SpanKind.CLIENT


@pytest.mark.parametrize("way", ["with_call", "future"])
@pytest.mark.parametrize("method", UNARY)
def test_the_other_ways_to_wait_for_a_reply(client: Client, method: str, way: str) -> None:
    request: Any = pb.ProbeRequest() if method == "Unary" else iter([pb.ProbeRequest()])
    result = getattr(getattr(client.stub, method), way)(request)
    reply, call = result if way == "with_call" else (result.result(), result)
    assert isinstance(reply, pb.ProbeReply | pb.ProbeReply)
    assert call.code() is grpc.StatusCode.OK
    assert client.ended(method) == "OK"
    assert client.messages(method) == (1, 1)


def test_a_future_without_another_reference_returns_its_result(at: ProbeServer, client: Client) -> None:
    at.probe.on_call = lambda *given: given[-1].wait(0.05)
    reply = client.stub.Unary.future(pb.ProbeRequest()).result()
    assert reply == pb.ProbeReply(text="reply")
    assert client.ended("Unary") == "OK"


@pytest.mark.parametrize("method", CALLS)
def test_a_call_that_is_rejected(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.on_call = abort(grpc.StatusCode.NOT_FOUND)
    assert outcome(lambda: CALLS[method](client.stub)) is grpc.StatusCode.NOT_FOUND
    assert client.ended(method) == "NotFound"
    assert client.messages(method) == (1, 0)


@pytest.mark.parametrize("method", UNARY)
def test_a_future_that_is_rejected(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.on_call = abort(grpc.StatusCode.NOT_FOUND)
    assert BEGIN[method](client.stub).exception().code() is grpc.StatusCode.NOT_FOUND
    assert client.ended(method) == "NotFound"


@pytest.mark.parametrize("method", STREAMED)
def test_a_stream_that_breaks_off(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.between = abort(grpc.StatusCode.DATA_LOSS)
    assert outcome(lambda: CALLS[method](client.stub)) is grpc.StatusCode.DATA_LOSS
    assert client.ended(method) == "DataLoss"
    assert client.messages(method) == (1, 1)


@pytest.mark.parametrize("method", CALLS)
def test_a_deadline_that_passes(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.on_call = wait
    assert outcome(lambda: CALLS[method](client.stub, timeout=0.1)) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.ended(method) == "DeadlineExceeded"


@pytest.mark.parametrize("method", CALLS)
def test_a_deadline_that_passes_before_the_replies_are_read(
    at: ProbeServer, client: Client, method: str
) -> None:
    at.probe.on_call = wait
    call = BEGIN[method](client.stub, timeout=0.1)
    assert client.ended(method) == "DeadlineExceeded"
    assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("method", CALLS)
def test_a_caller_that_cancels(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.on_call = wait
    call = BEGIN[method](client.stub)
    assert client.samples("grpc_client_in_flight", method) == {"": 1}
    assert client.spans() == []
    assert call.cancel()
    assert client.ended(method) == "Canceled"
    assert not call.cancel()
    assert call.cancelled()
    assert call.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("method", STREAMED)
def test_a_caller_that_cancels_after_the_first_reply(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.between = wait
    call = BEGIN[method](client.stub)
    next(call)
    call.cancel()
    assert client.ended(method) == "Canceled"
    assert client.messages(method) == (1, 1)
    with pytest.raises(grpc.RpcError):
        next(call)


@pytest.mark.parametrize("method", CALLS)
def test_a_call_that_is_dropped_is_cancelled_as_without_observers(
    at: ProbeServer, client: Client, method: str
) -> None:
    begun, left = threading.Event(), threading.Event()

    def hold(*given: Any) -> None:
        given[-1].add_callback(left.set)
        begun.set()
        wait(*given)

    at.probe.on_call = hold
    call = BEGIN[method](client.stub)
    assert begun.wait(5)
    del call
    assert client.ended(method) == "Canceled"
    assert left.wait(5)


@pytest.mark.parametrize("method", STREAMED)
def test_a_stream_that_is_left_half_read(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.between = wait
    for _ in BEGIN[method](client.stub):
        break
    assert client.ended(method) == "Canceled"
    assert client.messages(method) == (1, 1)


def test_observers_of_a_dropped_call_are_not_notified_on_the_thread_that_dropped_it(at: ProbeServer) -> None:
    at.probe.on_call = wait
    lock, codes = threading.Lock(), []

    class Locking(Observation, Observer):
        def start(self, method: Any, metadata: Any) -> Any:
            del method
            return self, metadata

        def ended(self, code: grpc.StatusCode) -> None:
            with lock:
                codes.append(code)

    with grpc.insecure_channel(at.server.target) as plain:
        stub: Any = probe_pb2_grpc.ProbeStub(grpc.intercept_channel(plain, ObserverInterceptor([Locking()])))
        call: Any = stub.ServerStream(pb.ProbeRequest())
        with lock:  # as Prometheus' own, in which Python may collect garbage
            del call
        assert until(lambda: codes) == [grpc.StatusCode.CANCELLED]


@pytest.mark.parametrize("method", CALLS)
def test_a_channel_that_is_closed(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.on_call = wait
    call = BEGIN[method](client.stub)
    client.channel.close()
    assert client.ended(method) == "Canceled"
    assert call.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("method", CALLS)
def test_a_call_on_a_closed_channel_is_recorded_as_internal(client: Client, method: str) -> None:
    CALLS[method](client.stub)  # without it, grpc 1.85 crashes: https://github.com/grpc/grpc/pull/43455
    client.channel.close()
    with pytest.raises(ValueError, match="closed"):
        CALLS[method](client.stub)
    codes = [(span.attributes or {})["rpc.grpc.status_code"] for span in client.spans()]
    assert codes == [0, 13]
    handled = client.samples("grpc_client_handled_total", method)
    assert {code for code, count in handled.items() if count} == {"OK", "Internal"}


@pytest.mark.parametrize("method", CALLS)
def test_a_server_that_is_not_there(method: str) -> None:
    client = Client("unix:/nowhere/at/all")
    assert outcome(lambda: CALLS[method](client.stub)) is grpc.StatusCode.UNAVAILABLE
    assert client.ended(method) == "Unavailable"
    client.channel.close()


@pytest.mark.parametrize("method", CALLS)
def test_a_request_that_cannot_be_sent(client: Client, method: str) -> None:
    wrong: Any = iter(["no message"]) if method in {"ClientStream", "BidiStream"} else "no message"
    assert outcome(lambda: list(getattr(client.stub, method)(wrong))) is grpc.StatusCode.INTERNAL
    assert client.ended(method) == "Internal"


def test_ctrl_c_while_a_call_is_waited_for() -> None:
    codes: list[grpc.StatusCode] = []

    class Noting(Observation, Observer):
        def start(self, method: Any, metadata: Any) -> Any:
            del method
            return self, metadata

        def ended(self, code: grpc.StatusCode) -> None:
            codes.append(code)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    details: Any = type("Details", (grpc.ClientCallDetails,), dict.fromkeys(["timeout", "credentials"]))
    details.method, details.metadata, details.wait_for_ready, details.compression = "/a.B/C", None, None, None
    with pytest.raises(KeyboardInterrupt):
        ObserverInterceptor([Noting()]).intercept_unary_unary(interrupted, details, None)
    assert codes == [grpc.StatusCode.CANCELLED]


@pytest.mark.parametrize("method", CALLS)
def test_a_call_object_keeps_grpcs_whole_interface(at: ProbeServer, client: Client, method: str) -> None:
    """See grpc.Call, grpc.RpcContext and grpc.Future."""
    released, done = threading.Event(), threading.Event()
    at.probe.on_call = lambda *given: (
        given[-1].send_initial_metadata((("first", "1"),)),
        given[-1].set_trailing_metadata((("last", "2"),)),
        released.wait(10),
    )
    call = BEGIN[method](client.stub, timeout=60)
    assert all(isinstance(call, kind) for kind in (grpc.Call, grpc.RpcContext, grpc.Future))
    finished: list[Any] = []
    assert call.add_callback(done.set)
    call.add_done_callback(finished.append)
    assert call.is_active()
    assert call.running()
    assert not call.done()
    assert 50 < call.time_remaining() <= 60
    if method != "Unary":  # where grpc has them only with the reply
        assert ("first", "1") in tuple(call.initial_metadata())
    released.set()
    if method in STREAMED:
        assert iter(call) is call
        assert len(list(call)) == 2
    else:
        assert call.result() is not None
        assert call.exception() is None
        assert call.traceback() is None
    assert call.code() is grpc.StatusCode.OK
    assert call.details() == ""
    assert ("first", "1") in tuple(call.initial_metadata())
    assert ("last", "2") in tuple(call.trailing_metadata())
    assert done.wait(5)
    assert until(lambda: finished) == [call]
    assert not call.is_active()
    assert call.done()
    assert not call.cancelled()
    assert "StatusCode.OK" in repr(call)


def test_a_future_with_a_callback_need_not_be_kept(at: ProbeServer, client: Client) -> None:
    released = threading.Event()
    finished: list[Any] = []
    at.probe.on_call = lambda *_: released.wait(10)
    client.stub.Unary.future(pb.ProbeRequest()).add_done_callback(finished.append)
    gc.collect()
    released.set()
    [call] = until(lambda: finished)
    assert call.result() == pb.ProbeReply(text="reply")


def test_only_propagated_metadata_is_replaced_and_repeated_keys_are_kept(
    at: ProbeServer, client: Client
) -> None:
    arrived: list[Any] = []
    at.probe.on_call = lambda *given: arrived.extend(given[-1].invocation_metadata())
    tags = (("tag", "1"), ("tag", "2"), ("tag-bin", b"\x00\xff"))
    stale = (("baggage", "user=stale"), ("traceparent", f"00-{'1' * 32}-{'1' * 16}-01"))
    token = otel_context.attach(set_baggage("user", "alice"))
    client.stub.Unary(pb.ProbeRequest(), metadata=tags + stale)
    otel_context.detach(token)
    found = [(key, value) for key, value in arrived if key in dict(tags + stale)]
    [own] = [span.context for span in client.spans()]
    header = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    assert sorted(found) == [("baggage", "user=alice"), *tags, ("traceparent", header)]


@pytest.mark.parametrize("method", CALLS)
def test_the_trace_continues_from_the_current_span_to_the_server(
    at: ProbeServer, client: Client, method: str
) -> None:
    before = len(at.server.spans)
    with client.spans.provider.get_tracer("caller").start_as_current_span("caller") as outer:
        CALLS[method](client.stub)
        assert trace.get_current_span() is outer
    ours, _ = client.spans()
    [theirs] = until(lambda: at.server.spans[before:])
    assert ours.parent is not None
    assert ours.parent.span_id == outer.get_span_context().span_id
    assert theirs.parent is not None
    assert theirs.parent.span_id == ours.context.span_id
    assert theirs.context.trace_id == outer.get_span_context().trace_id


@pytest.mark.parametrize("method", ["ClientStream", "BidiStream"])
def test_spans_made_while_requests_are_read_are_children_of_the_calls_span(
    client: Client, method: str
) -> None:
    """Requests are read in the contextvars of the caller; grpc does not document that."""

    def requests() -> Iterator[Any]:
        with client.spans.provider.get_tracer("library").start_as_current_span("work"):
            yield pb.ProbeRequest()

    call = getattr(client.stub, method)(requests())
    if method in STREAMED:
        assert len(list(call)) == 2
    inner, outer = until(
        lambda: len(client.spans()) == 2 and sorted(client.spans(), key=lambda one: one.kind.value)
    )
    assert inner.name == "work"
    assert inner.parent.span_id == outer.context.span_id


@pytest.mark.parametrize(
    ("opt_in", "name", "expected"),
    [
        (
            "rpc",
            "probe.Probe/Unary",
            {
                "rpc.system.name": "grpc",
                "rpc.method": "probe.Probe/Unary",
                "rpc.response.status_code": "NOT_FOUND",
                "error.type": "NOT_FOUND",
                "server.address": "127.0.0.1",
            },
        ),
        (
            "rpc/dup",
            "probe.Probe/Unary",
            {
                "rpc.system": "grpc",
                "rpc.service": "probe.Probe",
                "rpc.grpc.status_code": 5,
                "rpc.system.name": "grpc",
                "rpc.method": "probe.Probe/Unary",
                "rpc.response.status_code": "NOT_FOUND",
                "error.type": "NOT_FOUND",
                "server.address": "127.0.0.1",
            },
        ),
    ],
)
def test_the_newer_conventions_can_be_enabled(
    at: ProbeServer, monkeypatch: pytest.MonkeyPatch, opt_in: str, name: str, expected: dict[str, Any]
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)
    at.probe.on_call = abort(grpc.StatusCode.NOT_FOUND)
    with closing(at) as client:
        assert outcome(lambda: CALLS["Unary"](client.stub)) is grpc.StatusCode.NOT_FOUND
        [span] = client.spans()
    assert span.name == name
    assert span.attributes == expected | {"server.port": int(at.server.target.rpartition(":")[2])}


@pytest.mark.parametrize("method", STREAMED)
def test_a_generator_that_passes_a_stream_on_can_be_closed(
    at: ProbeServer, client: Client, method: str
) -> None:
    at.probe.between = lambda context: context.wait(10)

    def passed_on() -> Any:
        yield from BEGIN[method](client.stub, timeout=10)

    replies = passed_on()
    next(replies)
    replies.close()
    assert client.ended(method) == "Canceled"


# opentelemetry-instrumentation-grpc's own client interceptor


@contextmanager
def stock(at: ProbeServer) -> Iterator[tuple[Any, Spans]]:
    spans = Spans()
    with grpc.insecure_channel(at.server.target) as plain:
        interceptor = client_interceptor(spans.provider)  # type: ignore[no-untyped-call]
        traced: Any = intercept_channel(plain, interceptor)  # type: ignore[no-untyped-call]
        yield probe_pb2_grpc.ProbeStub(traced), spans


@pytest.mark.parametrize("end", ["OK", "CANCELLED", "NOT_FOUND", "INTERNAL", "UNAVAILABLE"])
@pytest.mark.parametrize("method", CALLS)
def test_spans_have_the_attributes_of_opentelemetrys_own_instrumentation(
    at: ProbeServer, client: Client, method: str, end: str
) -> None:
    if end != "OK":
        at.probe.on_call = abort(grpc.StatusCode[end])
    with stock(at) as (stub, spans):
        assert outcome(lambda: CALLS[method](stub)).name == end
        assert outcome(lambda: CALLS[method](client.stub)).name == end
        [theirs], [ours] = spans(), client.spans()
    assert ours.name == theirs.name
    assert ours.kind is theirs.kind
    assert ours.attributes == theirs.attributes
    assert ours.status.status_code is theirs.status.status_code


@pytest.mark.parametrize("method", UNARY)
def test_spans_have_no_status_message_and_no_traceback(at: ProbeServer, client: Client, method: str) -> None:
    at.probe.on_call = abort(grpc.StatusCode.NOT_FOUND)
    with stock(at) as (stub, spans):
        outcome(lambda: CALLS[method](stub))
        outcome(lambda: CALLS[method](client.stub))
        [theirs], [ours] = spans(), client.spans()
    assert "s3cret" in theirs.to_json()
    assert "s3cret" not in ours.to_json()
    assert ours.status.description == "NOT_FOUND"


def test_faults_of_opentelemetrys_instrumentation_for_unary_replies(
    at: ProbeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When one of these fails, they have mended it."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc")
    arrived: list[Any] = []
    at.probe.on_call = lambda *given: arrived.extend(given[-1].invocation_metadata())
    with stock(at) as (stub, spans):
        stub.Unary(pb.ProbeRequest(), metadata=(("tag", "1"), ("tag", "2")))
        assert [value for key, value in arrived if key == "tag"] == ["2"]  # a metadatum is lost

        released = threading.Event()
        at.probe.on_call = lambda *_: released.wait(10)
        future = stub.Unary.future(pb.ProbeRequest())
        del future
        gc.collect()
        released.set()
        _, dropped = until(lambda: len(spans()) == 2 and spans())
        assert dropped.attributes["rpc.grpc.status_code"] == 0  # a dropped call goes on to its end
    with pytest.raises(ValueError, match="closed"):
        stub.Unary(pb.ProbeRequest())
    assert all("rpc.system" in (span.attributes or {}) for span in spans())  # the older conventions alone
    failed = spans()[-1]
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["rpc.grpc.status_code"] == 0  # an error whose code is OK


def test_faults_of_opentelemetrys_instrumentation_for_streamed_replies(at: ProbeServer) -> None:
    with stock(at) as (stub, _):
        replies = stub.ServerStream(pb.ProbeRequest())
        assert not hasattr(replies, "cancel")
        assert not hasattr(replies, "code")


# Metrics


def test_client_metrics_have_gos_names_labels_and_buckets(client: Client) -> None:
    for call in CALLS.values():
        call(client.stub)
    text = openmetrics(client.registry)
    for name, kind in {
        "grpc_client_started": "counter",
        "grpc_client_handled": "counter",
        "grpc_client_msg_received": "counter",
        "grpc_client_msg_sent": "counter",
        "grpc_client_handling_seconds": "histogram",
        "grpc_client_in_flight": "gauge",
    }.items():
        assert f"# TYPE {name} {kind}\n" in text
    types = {
        sample.labels["grpc_method"]: (sample.labels["grpc_type"], sample.labels["grpc_service"])
        for family in client.registry.collect()
        for sample in family.samples
    }
    assert types == {method: (kind, "probe.Probe") for method, kind in TYPES.items()}
    buckets = client.samples("grpc_client_handling_seconds_bucket", "Unary")
    assert list(buckets) == "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 +Inf".split()  # noqa: SIM905
    assert set(client.samples("grpc_client_handled_total", "Unary")) == set(CODE_LABELS.values())


def test_channels_that_share_a_registry_are_counted_together(at: ProbeServer) -> None:
    registry = CollectorRegistry()
    for _ in range(2):
        with open_channel(at.server.target, metrics=registry) as opened:
            probe_pb2_grpc.ProbeStub(opened).Unary(pb.ProbeRequest())
    labels = {"grpc_type": "unary", "grpc_service": "probe.Probe", "grpc_method": "Unary"}
    assert registry.get_sample_value("grpc_client_handled_total", labels | {"grpc_code": "OK"}) == 2


def test_an_unused_registry_is_garbage_collected(at: ProbeServer) -> None:
    registry = CollectorRegistry()
    with open_channel(at.server.target, metrics=registry) as opened:
        probe_pb2_grpc.ProbeStub(opened).Unary(pb.ProbeRequest())
    reference = weakref.ref(registry)
    del registry, opened
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
def test_a_duration_has_its_trace_as_an_exemplar_if_sampled(
    at: ProbeServer, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    with closing(at) as client:
        client.stub.Unary(pb.ProbeRequest())
        text = openmetrics(client.registry)
    traces = [f"{span.context.trace_id:032x}" for span in client.spans()]
    assert len(traces) == (1 if sampler == "always_on" else 0)
    assert [line.split('trace_id="')[1][:32] for line in text.splitlines() if "trace_id" in line] == traces


def test_without_a_span_there_is_no_exemplar(at: ProbeServer) -> None:
    registry = CollectorRegistry()
    with open_channel(at.server.target, metrics=registry) as opened:
        probe_pb2_grpc.ProbeStub(opened).Unary(pb.ProbeRequest())
    assert "trace_id" not in openmetrics(registry)
