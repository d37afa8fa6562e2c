"""A server span for each call, with the attributes of opentelemetry-instrumentation-grpc."""

import time
from urllib.parse import unquote

import grpc
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer, TraceState

from app.core.call import Call
from app.core.metadata import Metadata
from app.core.method import Method
from app.core.traceparent import parse_traceparent
from app.interceptors.concern import Concern

# The codes that are the server's fault (OpenTelemetry semantic conventions for gRPC servers).
_ERRORS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class Tracing(Concern):
    """Starts a span when the call is accepted, as a child of the caller's, and ends it with the call.

    While the handler runs it is the current span, so that spans which libraries make are its children.
    Neither error messages nor tracebacks are recorded on it: they may hold what must not leave the process.
    """

    def __init__(self, tracer: Tracer, untraced: frozenset[str] = frozenset()) -> None:
        """`untraced` are full names of services whose calls have no spans, such as health checks."""
        self._tracer = tracer
        self._untraced = untraced

    def for_method(self, method: Method) -> Concern | None:
        return None if method.service in self._untraced else self

    def accept(self, call: Call) -> None:
        method = call.method
        span = self._tracer.start_span(
            method.path,
            _parent(call.metadata),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name},
            start_time=time.time_ns(),
        )
        call.span = span
        identity = span.get_span_context()
        if identity.is_valid:
            call.trace_id = trace.format_trace_id(identity.trace_id)
        # Never detached: the call has a contextvars context of its own, which ends with it.
        otel_context.attach(trace.set_span_in_context(span))

    def end(self, call: Call) -> None:
        span, status = call.span, call.status
        if span is None or status is None:
            return
        if span.is_recording():
            span.set_attribute("rpc.grpc.status_code", status.value[0])
            for name, value in _caller(call):
                span.set_attribute(name, value)
            if status in _ERRORS:
                span.set_status(Status(StatusCode.ERROR, status.name))
        span.end()


def _parent(metadata: Metadata) -> otel_context.Context:
    header = state = None
    for key, value in metadata:
        if key == "traceparent" and isinstance(value, str):
            header = value
        elif key == "tracestate" and isinstance(value, str):
            state = value
    parent = parse_traceparent(header) if header is not None else None
    if parent is None:
        return otel_context.Context()
    caller = SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([state]) if state else None,
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(caller), otel_context.Context())


def _caller(call: Call) -> list[tuple[str, str]]:
    """Who calls, as far as the transport knows; `net.peer.*` for `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711`."""
    found = [("rpc.user_agent", value) for key, value in call.metadata if key == "user-agent"]
    family, _, address = unquote(call.peer()).partition(":")
    if family in {"ipv4", "ipv6"}:
        ip, _, port = address.rpartition(":")
        found += [("net.peer.ip", ip), ("net.peer.port", port)]
        if ip in {"127.0.0.1", "[::1]"}:
            found.append(("net.peer.name", "localhost"))
    return [(name, value) for name, value in found if isinstance(value, str)]
