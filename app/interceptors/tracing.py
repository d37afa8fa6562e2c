"""A server span for each call, as OpenTelemetry's conventions describe it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NoOpTracer,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TracerProvider,
    TraceState,
)

from app.core.call import Call
from app.core.method import Method
from app.interceptors.concern import Concern
from app.telemetry.conventions import SERVER_ERRORS, Conventions
from app.telemetry.propagation import ROOT, Extract, trace_context
from app.telemetry.sampling import ID_MASK, root_threshold

# Missing in an older version, which somebody may have put before ours from outside.
_RANDOM: int = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)


class Tracing(Concern):
    """Starts a span when the call is accepted, as a child of the caller's, and ends it with the call.

    It is the current span while the handler runs, so that spans which libraries start are its children.
    Neither error messages nor tracebacks are recorded on it: they may hold what must not leave the process.
    """

    def __init__(
        self,
        provider: TracerProvider,
        untraced: frozenset[str] = frozenset(),
        conventions: Conventions | None = None,
        extract: Extract = trace_context,
    ) -> None:
        """`provider` need not be the SDK's. `untraced` are full names of services without spans."""
        self.extract = extract
        self.conventions = conventions or Conventions()
        self._provider = provider
        self._untraced = untraced

    def for_method(self, method: Method) -> Concern | None:
        if method.service in self._untraced:
            return None
        tracer = self._provider.get_tracer(__name__)
        if isinstance(tracer, NoOpTracer):  # by OTEL_SDK_DISABLED
            return _Propagation(self.extract)
        if isinstance(self._provider, SdkTracerProvider) and isinstance(tracer, SdkTracer):
            return _SdkTracing(self, method, self._provider, tracer)
        return _MethodTracing(self, method, tracer)


class _Propagation(Concern):
    """Starts no span, and passes the caller's trace on to the handler's outgoing calls."""

    def __init__(self, extract: Extract) -> None:
        self._extract = extract

    def accept(self, call: Call) -> None:
        context = self._extract(call)
        caller = trace.get_current_span(context).get_span_context()
        if caller.is_valid:
            call.trace = caller.trace_id
        otel_context.attach(context)


class _MethodTracing(Concern):
    """The spans of one method, with what they have in common, by the interface that all providers have."""

    def __init__(self, tracing: Tracing, method: Method, tracer: Tracer) -> None:
        self._name = tracing.conventions.span_name(method)
        self._attributes = tracing.conventions.of_method(method)
        self._of_client = tracing.conventions.of_client
        self._outcomes = tracing.conventions.outcomes(SERVER_ERRORS)
        self._extract = tracing.extract
        self._tracer = tracer

    def accept(self, call: Call) -> None:
        context = self._extract(call)
        call.span = self._start(context)
        found = call.span.get_span_context()
        call.trace, call.sampled = found.trace_id, found.trace_flags.sampled
        otel_context.attach(trace.set_span_in_context(call.span, context))

    def _start(self, context: otel_context.Context) -> trace.Span:
        return self._tracer.start_span(
            self._name, context, SpanKind.SERVER, self._attributes, start_time=time.time_ns()
        )

    def end(self, call: Call) -> None:
        span, status = call.span, call.status
        if type(span) is _UnsampledSpan or span is None or status is None or not span.is_recording():
            return
        agent = call.headers.get("user-agent")
        caller = self._of_client(call.peer(), agent if isinstance(agent, str) else None)
        outcome = self._outcomes[status]
        span.set_attributes(caller | outcome.attributes)
        if outcome.status is not None:
            span.set_status(outcome.status)
        span.end()


class _SdkTracing(_MethodTracing):
    """The same for the SDK's provider, whose sampler and ids are asked first, as dropping is cheaper here."""

    def __init__(
        self, tracing: Tracing, method: Method, provider: SdkTracerProvider, tracer: SdkTracer
    ) -> None:
        own = copy(tracer)  # a copy, because the provider's tracers are shared
        super().__init__(tracing, method, own)
        own.id_generator = self._ids = _PresetTraceIds(provider.id_generator)
        self._sampler = provider.sampler
        self._root_threshold = root_threshold(provider.sampler)
        self._new_trace_id = self._ids.new_trace_id
        self._random = _RANDOM if self._ids.is_trace_id_random() else TraceFlags.DEFAULT

    def accept(self, call: Call) -> None:
        context = self._extract(call)
        if context is not ROOT or self._root_threshold is None:
            call.span = self._ask_sampler(call, context)
        else:
            call.trace = trace_id = self._new_trace_id()
            if trace_id & ID_MASK < self._root_threshold:
                call.sampled = True
                call.span = self._start_recording(trace_id, context)
            else:
                call.span = _UnsampledSpan(trace_id, self._random, self._ids, None)
        # Never detached: the call has a contextvars context of its own, which ends with it.
        otel_context.attach(trace.set_span_in_context(call.span, context))

    def _ask_sampler(self, call: Call, context: otel_context.Context) -> trace.Span:
        """Asks the sampler before the SDK does: the SDK takes ten times as long for a span to drop."""
        parent = trace.get_current_span(context).get_span_context()
        flags = parent.trace_flags & _RANDOM if parent.is_valid else self._random
        call.trace = parent.trace_id or self._ids.new_trace_id()
        result = self._sampler.should_sample(
            context, call.trace, self._name, SpanKind.SERVER, self._attributes
        )
        call.sampled = result.decision is Decision.RECORD_AND_SAMPLE
        if result.decision is Decision.DROP:
            return _UnsampledSpan(call.trace, flags, self._ids, result.trace_state)
        return self._start_recording(call.trace, context)

    def _start_recording(self, trace_id: int, context: otel_context.Context) -> trace.Span:
        with self._ids.preset(trace_id):
            return self._start(context)


class _PresetTraceIds(IdGenerator):
    """Gives the SDK's span the trace id for which the sampler has decided."""

    def __init__(self, ids: IdGenerator) -> None:
        self._ids = ids
        self.new_trace_id = ids.generate_trace_id
        self._preset: ContextVar[int] = ContextVar("preset_trace_id", default=0)

    def generate_span_id(self) -> int:
        return self._ids.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._preset.get() or self._ids.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        return bool(getattr(self._ids, "is_trace_id_random", bool)())

    @contextmanager
    def preset(self, trace_id: int) -> Iterator[None]:
        token = self._preset.set(trace_id)
        try:
            yield
        finally:
            self._preset.reset(token)


class _UnsampledSpan(trace.NonRecordingSpan):
    """A span whose context is built only when something needs it, such as an outgoing call."""

    def __init__(self, trace_id: int, flags: int, ids: IdGenerator, state: TraceState | None) -> None:
        self._parts = (trace_id, flags, ids, state)
        self._built: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        if self._built is None:
            trace_id, flags, ids, state = self._parts
            self._built = SpanContext(trace_id, ids.generate_span_id(), False, TraceFlags(flags), state)
        return self._built

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()})"
