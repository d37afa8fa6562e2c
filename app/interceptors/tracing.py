"""A server span for each call, with the attributes of opentelemetry-instrumentation-grpc."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import grpc
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import (
    NoOpTracer,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
)

from app.core.call import Call
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

_ROOT = otel_context.Context()


class Tracing(Concern):
    """Starts a span when the call is accepted, as a child of the caller's, and ends it with the call.

    While the handler runs it is the current span, so that spans which libraries make are its children.
    Neither error messages nor tracebacks are recorded on it: they may hold what must not leave the process.
    """

    def __init__(self, provider: TracerProvider, untraced: frozenset[str] = frozenset()) -> None:
        """`untraced` are full names of services whose calls have no spans, such as health checks."""
        self._provider = provider
        self._ids = _SampledIds(provider.id_generator)
        given: Any = provider  # the SDK's types take its own generator alone
        given.id_generator = self._ids
        self._untraced = untraced

    def for_method(self, method: Method) -> Concern | None:
        tracer = self._provider.get_tracer(__name__)
        if isinstance(tracer, NoOpTracer) or method.service in self._untraced:  # OTEL_SDK_DISABLED, or exempt
            return None
        return _MethodTracing(method, tracer, self._provider.sampler, self._ids)


class _MethodTracing(Concern):
    def __init__(self, method: Method, tracer: Tracer, sampler: Sampler, ids: "_SampledIds") -> None:
        self._path = method.path
        self._attributes = {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name}
        self._tracer = tracer
        self._sampler = sampler
        self._ids = ids
        self._random = TraceFlags.RANDOM_TRACE_ID if ids.is_trace_id_random() else TraceFlags.DEFAULT

    def accept(self, call: Call) -> None:
        """Asks the sampler before the SDK does: a span that nobody will see costs a tenth of the SDK's."""
        parent = _parent(call.headers) if "traceparent" in call.headers else None
        if parent is None:
            context, call.trace, flags = _ROOT, self._ids.new_trace_id(), self._random
        else:
            context = trace.set_span_in_context(trace.NonRecordingSpan(parent), _ROOT)
            call.trace, flags = parent.trace_id, parent.trace_flags & TraceFlags.RANDOM_TRACE_ID
        asked = self._sampler.should_sample(
            context, call.trace, self._path, SpanKind.SERVER, self._attributes
        )
        if asked.decision is not Decision.DROP:
            with self._ids.giving(call.trace):
                call.span = self._tracer.start_span(
                    self._path, context, SpanKind.SERVER, self._attributes, start_time=time.time_ns()
                )
            call.sampled = asked.decision is Decision.RECORD_AND_SAMPLE
        else:
            call.span = _Unsampled(call.trace, flags, self._ids, asked.trace_state)
        # Never detached: the call has a contextvars context of its own, which ends with it.
        otel_context.attach(trace.set_span_in_context(call.span, _ROOT))

    def end(self, call: Call) -> None:
        span, status = call.span, call.status
        if span is None or status is None or not span.is_recording():
            return
        span.set_attribute("rpc.grpc.status_code", status.value[0])
        for name, value in _caller(call):
            span.set_attribute(name, value)
        if status in _ERRORS:
            span.set_status(Status(StatusCode.ERROR, status.name))
        span.end()


class _SampledIds(IdGenerator):
    """Gives the SDK's span the trace id that the sampler was asked about."""

    def __init__(self, ids: IdGenerator) -> None:
        self._ids = ids
        self.new_trace_id = ids.generate_trace_id
        self._given: ContextVar[int] = ContextVar("given_trace_id", default=0)

    def generate_span_id(self) -> int:
        return self._ids.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._given.get() or self._ids.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        return self._ids.is_trace_id_random()

    @contextmanager
    def giving(self, trace_id: int) -> Iterator[None]:
        token = self._given.set(trace_id)
        try:
            yield
        finally:
            self._given.reset(token)


class _Unsampled(trace.NonRecordingSpan):
    """A span that is made out only if somebody asks who it is, such as an outgoing call."""

    def __init__(self, trace_id: int, flags: int, ids: IdGenerator, state: TraceState | None) -> None:
        self._parts = (trace_id, flags, ids, state)
        self._made: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        if self._made is None:
            trace_id, flags, ids, state = self._parts
            self._made = SpanContext(trace_id, ids.generate_span_id(), False, TraceFlags(flags), state)
        return self._made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()})"


def _parent(headers: Mapping[str, str | bytes]) -> SpanContext | None:
    header, state = headers.get("traceparent"), headers.get("tracestate")
    parent = parse_traceparent(header) if isinstance(header, str) else None
    if parent is None:
        return None
    return SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([state]) if isinstance(state, str) else None,
    )


def _caller(call: Call) -> list[tuple[str, str]]:
    """Who calls, as far as the transport knows; `net.peer.*` for `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711`."""
    found = [("rpc.user_agent", call.headers.get("user-agent"))]
    family, _, address = unquote(call.peer()).partition(":")
    if family in {"ipv4", "ipv6"}:
        ip, _, port = address.rpartition(":")
        found += [("net.peer.ip", ip), ("net.peer.port", port)]
        if ip in {"127.0.0.1", "[::1]"}:
            found.append(("net.peer.name", "localhost"))
    return [(name, value) for name, value in found if isinstance(value, str)]
