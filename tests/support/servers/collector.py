"""An OTLP collector that keeps what it is sent."""

import gzip
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

_KINDS = {2: "server", 3: "client"}
_ERROR = 2


class CollectedSpan(NamedTuple):
    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    injected: bool  # whether the SDK was set up by opentelemetry-instrument
    seconds: float
    failed: bool  # whether its status is an error
    code: int  # of its call


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Over gRPC, and over HTTP with Protobuf. A request takes `delay` seconds; it refuses while full."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.full = False
        self.spans: list[CollectedSpan] = []
        self.headers: list[dict[str, str]] = []

    def add(self, request: Any) -> None:
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    CollectedSpan(
                        names.get("service.name", ""),
                        span.name,
                        _KINDS.get(span.kind, "internal"),
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        "telemetry.auto.version" in names,
                        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                        span.status.code == _ERROR,
                        _number(span, "rpc.grpc.status_code"),
                    )
                    for span in scope.spans
                ]

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.headers.append({key: str(value) for key, value in context.invocation_metadata()})
        time.sleep(self.delay)
        if self.full:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        self.add(request)
        return trace_service_pb2.ExportTraceServiceResponse()


def _number(span: Any, name: str) -> int:
    return next((int(one.value.int_value) for one in span.attributes if one.key == name), -1)


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """Yields the collector, and its endpoint for OTLP over gRPC."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextmanager
def collecting_over_http() -> Iterator[tuple[Collector, str]]:
    """The same for OTLP over HTTP with Protobuf."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            collector.headers.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            time.sleep(collector.delay)
            if collector.full:
                self.send_response(429)
            else:
                collector.add(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield collector, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
