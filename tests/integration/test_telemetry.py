"""What a call leaves behind: metrics as Go has them, spans, log lines."""

import errno
import platform
import re
import socket
import threading
import time
from http.client import HTTPConnection
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from app.core.call import current_call
from app.core.errors import StartError
from app.core.name import NAME
from app.telemetry.tracer_provider import tracer_provider
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.network.http2 import unary_call
from tests.support.servers.other import OTHER
from tests.support.servers.probe import CALLS, PROBE, Probe
from tests.support.servers.probe_server import probe_server
from tests.support.servers.server import Server, running
from tests.support.waiting import until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_server_metrics_have_gos_names_labels_and_buckets(server: Server) -> None:
    text = server.get("/metrics")[1]
    for name, kind in {
        "grpc_server_started_total": "counter",
        "grpc_server_handled_total": "counter",
        "grpc_server_msg_received_total": "counter",
        "grpc_server_msg_sent_total": "counter",
        "grpc_server_handling_seconds": "histogram",
    }.items():
        assert f"# TYPE {name} {kind}\n" in text
    assert "_created" not in text
    buckets = [
        labels["le"]
        for labels, _ in server.samples("grpc_server_handling_seconds_bucket")
        if labels["grpc_method"] == "Unary"
    ]
    assert buckets == "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 +Inf".split()  # noqa: SIM905


def test_every_method_and_code_starts_at_zero(server: Server) -> None:
    codes = [
        *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
        *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange"),
        *("Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"),
    ]
    samples = server.samples("grpc_server_handled_total")
    for method, kind in {
        "Unary": "unary",
        "ServerStream": "server_stream",
        "ClientStream": "client_stream",
        "BidiStream": "bidi_stream",
        "unknown": "unary",
    }.items():
        found = [(labels["grpc_code"], value) for labels, value in samples if labels["grpc_method"] == method]
        assert found == [(code, 0.0) for code in codes]
        assert server.samples("grpc_server_started_total")
        assert {labels["grpc_type"] for labels, _ in samples if labels["grpc_method"] == method} == {kind}


def test_the_metrics_port_serves_process_metrics_and_answers_other_paths_with_404(server: Server) -> None:
    assert "process_cpu_seconds_total" in server.get("/metrics")[1]
    status, text = server.get("/other")
    assert (status, text) == (404, "this port serves /, /status, /metrics, /healthz and /readyz\n")


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/"])
def test_head_on_the_metrics_port_is_get_without_the_body(server: Server, path: str) -> None:
    answers = {}
    for method in ("GET", "HEAD"):
        connection = HTTPConnection(str(server.handle.metrics[0]), timeout=5)
        connection.request(method, path)
        answer = connection.getresponse()
        answers[method] = answer.status, answer.headers["Content-Type"], int(answer.headers["Content-Length"])
        assert bool(answer.read()) is (method == "GET")
        connection.close()
    assert answers["HEAD"][:2] == answers["GET"][:2]
    assert answers["HEAD"][2] == pytest.approx(answers["GET"][2], abs=200), "the metrics change"


def test_other_methods_on_the_metrics_port_are_refused_with_those_that_are_allowed(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        connection = HTTPConnection(str(server.handle.metrics[0]), timeout=5)
        connection.request(method, "/metrics")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert answer.read() == b"this port answers GET and HEAD\n"
        connection.close()


def test_the_metrics_port_listens_on_ipv4_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIpv6(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *arguments: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *arguments, **options)

    monkeypatch.setattr(socket, "socket", WithoutIpv6)
    with running(metrics_listen="[::]:0") as server:
        [address] = server.handle.metrics
        assert address.host == "0.0.0.0"  # noqa: S104 - for every address
        assert server.get("/healthz") == (200, "ok\n")
    with pytest.raises(StartError, match=r"APP_METRICS_LISTEN: \[::1\]:0: Address family not supported"):
        running(metrics_listen="[::1]:0").__enter__()


def test_the_build_is_a_metric_of_the_same_name_in_every_fork(server: Server) -> None:
    [(labels, value)] = server.samples("app_build_info")
    assert value == 1
    assert labels == {
        "name": NAME,
        "version": version(NAME),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "protobuf": version("protobuf"),
    }


def test_the_access_line_carries_what_the_metrics_and_the_span_carry() -> None:
    with probe_server() as at:
        metadata = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("x-request-id", "abc-1"))
        _, call = at.stub.Unary.with_call(pb.ProbeRequest(), metadata=metadata)
        [line] = at.server.calls()
        assert line["service"] == "probe.Probe"
        assert line["method"] == "Unary"
        assert line["code"] == "OK"
        assert 0 < line["duration_ms"] < 1000
        assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", line["peer"])
        assert line["principal"] == ""
        assert line["request_id"] == "abc-1"
        assert line["trace_id"] == TRACE
        assert ("x-request-id", "abc-1") in tuple(call.trailing_metadata())


@pytest.mark.parametrize("given", ["", "has space", "x" * 129, 'quote"'])
def test_a_request_id_that_is_unfit_for_logs_is_replaced(given: str) -> None:
    with probe_server() as at:
        at.stub.Unary(pb.ProbeRequest(), metadata=(("x-request-id", given),))
        assert re.fullmatch(r"[0-9a-f]{32}", at.server.calls()[0]["request_id"])


@pytest.mark.parametrize("given", ["naïve".encode(), "naïve".encode("latin-1"), b"\xff\xfe"])
def test_a_request_id_beyond_ascii_is_replaced(given: bytes) -> None:
    with probe_server() as at:
        unary_call(at.server.target, b"/probe.Probe/Unary", [(b"x-request-id", given)])
        [line] = until(at.server.calls)
        assert re.fullmatch(r"[0-9a-f]{32}", line["request_id"])


def test_health_checks_are_logged_at_debug_and_have_no_span(server: Server, channel: Any) -> None:
    channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
    [line] = server.calls()
    assert line["level"] == "debug"
    assert server.spans == ()


def test_a_span_continues_the_callers_trace_and_keeps_its_decision() -> None:
    with probe_server() as at:
        at.stub.Unary(pb.ProbeRequest(), metadata=(("traceparent", f"00-{TRACE}-{SPAN}-01"),))
        at.stub.Unary(pb.ProbeRequest(), metadata=(("traceparent", f"00-{TRACE}-{SPAN}-00"),))
        at.stub.Unary(pb.ProbeRequest(), metadata=(("traceparent", "nonsense"),))
        sampled, fresh = at.server.spans
        assert sampled.parent is not None
        assert trace.format_trace_id(sampled.context.trace_id) == TRACE
        assert trace.format_span_id(sampled.parent.span_id) == SPAN
        assert fresh.parent is None
        assert [line["trace_id"] for line in at.server.calls()[:2]] == [TRACE, TRACE]


def test_what_a_handler_traces_is_a_child_of_the_calls_span() -> None:
    with probe_server() as at:
        provider = TracerProvider(shutdown_on_exit=False)
        inner: list[Any] = []

        def work(_request: Any, _context: Any) -> None:
            with provider.get_tracer("library").start_as_current_span("work") as span:
                inner.append(span)

        at.probe.on_call = work
        for call in CALLS.values():
            call(at.stub)
        parents = [one.context.span_id for one in at.server.spans]
        assert [span.parent.span_id for span in inner] == parents


def test_interceptors_of_other_people_run_inside_the_chain_with_messages_decoded() -> None:
    seen: list[Any] = []

    class Refuse(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = continuation(details)
            if not details.method.endswith("Unary"):
                return handler

            def refuse(request: Any, context: Any) -> Any:
                seen.append(request)
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "not today")

            return grpc.unary_unary_rpc_method_handler(
                refuse, handler.request_deserializer, handler.response_serializer
            )

    with probe_server(interceptors=[Refuse()]) as at:
        assert outcome(lambda: at.stub.Unary(pb.ProbeRequest(text="a"))) is grpc.StatusCode.PERMISSION_DENIED
        CALLS["BidiStream"](at.stub)
        assert seen == [pb.ProbeRequest(text="a")]
        assert at.seen() == [("BidiStream", "OK"), ("Unary", "PermissionDenied")]


class Interceptor(grpc.ServerInterceptor):
    def __init__(self, act: Any) -> None:
        self._act = act

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        return self._act(continuation, details)


@pytest.mark.parametrize("method", CALLS)
def test_a_rejecting_handler_of_another_arity_without_codecs_rejects_the_call(method: str) -> None:
    def abort(_request: Any, context: Any) -> None:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no entry")

    handler: Any = grpc.unary_unary_rpc_method_handler(abort)
    with probe_server(interceptors=[Interceptor(lambda _continuation, _details: handler)]) as at:
        assert outcome(lambda: CALLS[method](at.stub, timeout=5)) is grpc.StatusCode.PERMISSION_DENIED
        assert at.seen() == [(method, "PermissionDenied")]


@pytest.mark.parametrize("method", CALLS)
def test_an_exception_of_an_interceptor_is_an_internal_error(method: str) -> None:
    def fail(_continuation: Any, _details: Any) -> None:
        raise ValueError("s3cret")

    with probe_server(interceptors=[Interceptor(fail)]) as at:
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub, timeout=5)
        assert "s3cret" not in str(caught.value)
        assert at.seen() == [(method, "Internal")]


def test_a_non_blocking_handler_stays_non_blocking() -> None:
    handed: list[Any] = []

    class NonBlocking(Probe):
        def ServerStream(self, request: Any, context: Any, send: Any = None) -> Any:  # noqa: ARG002
            assert current_call() is context
            handed.append(send)

        ServerStream.experimental_non_blocking = True  # type: ignore[attr-defined]

    with probe_server(NonBlocking()) as at:
        replies = at.stub.ServerStream(pb.ProbeRequest())
        until(lambda: handed)
        senders = [
            threading.Thread(target=handed[0], args=(pb.ProbeReply(text=str(number)),))
            for number in range(50)
        ]
        for sender in senders:
            sender.start()
        assert {next(replies).text for _ in senders} == {str(number) for number in range(50)}
        handed[0](None)
        assert list(replies) == []
        left = at.stub.ServerStream(pb.ProbeRequest())
        until(lambda: len(handed) == 2)
        left.cancel()
        until(lambda: len(at.server.calls()) == 2)
        assert at.seen() == [("ServerStream", "Canceled"), ("ServerStream", "OK")]


@pytest.mark.alone
def test_spans_that_a_dead_collector_does_not_take_are_dropped_and_do_not_hold_the_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with tracer_provider("test") as provider:
        tracer = provider.get_tracer("test")
        began = time.monotonic()
        for _ in range(5000):  # more than the queue holds
            tracer.start_span("call").end()
        assert time.monotonic() - began < 2
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_every_service_answers_with_its_span_in_one_run() -> None:
    with running([PROBE, OTHER]) as server:
        channel: Any = grpc.insecure_channel(server.target)
        paths = [f"/{PROBE.name}/Unary", f"/{OTHER.name}/Echo"]
        for path in paths:
            channel.unary_unary(path)(b"")
        channel.close()
        assert [span.name for span in server.spans] == paths
