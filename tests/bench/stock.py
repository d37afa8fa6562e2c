"""The usual stack: published interceptors for tracing and metrics, and the two that every team writes."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import jwt
import prometheus_client
import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import server_interceptor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor

# What the token in process.py is signed with.
KEY = "the key of the benchmark, 32 bytes"


class Tokens(grpc.ServerInterceptor):
    """Decodes the token of each call, as PyJWT's documentation has it."""

    def __init__(self) -> None:
        def refuse(_request: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")

        self._refuse: Any = grpc.unary_unary_rpc_method_handler(refuse)

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        token = dict(details.invocation_metadata).get("authorization", "").removeprefix("Bearer ")
        try:
            jwt.decode(token, KEY, algorithms=["HS256"], audience="quotes", issuer="https://issuer.example")
        except jwt.InvalidTokenError:
            return self._refuse
        return continuation(details)


class AccessLog(grpc.ServerInterceptor):
    """A line of JSON for each call, with structlog as its documentation sets it up."""

    def __init__(self) -> None:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.processors.JSONRenderer(),
            ]
        )
        self._log = structlog.get_logger()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)

        def line(began: float, context: Any) -> None:
            taken = (time.perf_counter() - began) * 1000
            self._log.info("call", method=details.method, peer=context.peer(), duration_ms=taken)

        def one(request: Any, context: Any) -> Any:
            began = time.perf_counter()
            try:
                return handler.unary_unary(request, context)
            finally:
                line(began, context)

        def many(request: Any, context: Any) -> Iterator[Any]:
            began = time.perf_counter()
            try:
                yield from (handler.stream_stream or handler.unary_stream)(request, context)
            finally:
                line(began, context)

        codecs = handler.request_deserializer, handler.response_serializer
        if not handler.response_streaming:
            return grpc.unary_unary_rpc_method_handler(one, *codecs)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(many, *codecs)
        return grpc.unary_stream_rpc_method_handler(many, *codecs)


def interceptors() -> list[grpc.ServerInterceptor]:
    """From the outermost to the innermost; spans go where the OTEL_… variables say."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    prometheus_client.start_http_server(0)
    return [
        PromServerInterceptor(enable_handling_time_histogram=True),
        server_interceptor(provider),  # type: ignore[no-untyped-call]
        AccessLog(),
        Tokens(),
    ]
