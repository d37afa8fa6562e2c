"""A server span for each call, as OpenTelemetry's conventions describe it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NoOpTracer, SpanContext, SpanKind, TraceFlags, Tracer, TraceState

from app.core.call import Call
from app.core.method import Method
from app.interceptors.concern import Concern
from app.telemetry.conventions import SERVER_ERRORS, Conventions
from app.telemetry.propagation import ROOT, Extract, trace_context
from app.telemetry.sampling import ID_MASK, root_bound


class Tracing(Concern):
    """Starts a span when the call is accepted, as a child of the caller's, and ends it with the call.

    While the handler runs it is the current span, so that spans which libraries make are its children.
    Neither error messages nor tracebacks are recorded on it: they may hold what must not leave the process.
    """

    def __init__(
        self,
        provider: TracerProvider,
        untraced: frozenset[str] = frozenset(),
        conventions: Conventions | None = None,
        extract: Extract = trace_context,
    ) -> None:
        """`untraced` are full names of services whose calls have no spans, such as health checks."""
        self.extract = extract
        self.conventions = conventions or Conventions()
        self.ids = _SampledIds(provider.id_generator)
        self.tracer = _tracer_with(self.ids, provider)
        self.sampler = provider.sampler
        self._untraced = untraced

    def for_method(self, method: Method) -> Concern | None:
        if method.service in self._untraced:
            return None
        disabled = isinstance(self.tracer, NoOpTracer)  # by OTEL_SDK_DISABLED
        return _Passing(self.extract) if disabled else _MethodTracing(self, method)


def _tracer_with(ids: IdGenerator, provider: TracerProvider) -> Tracer:
    """Returns a tracer that takes its ids from `ids`. A copy, because the provider's tracers are shared."""
    found = copy(provider.get_tracer(__name__))
    if isinstance(found, SdkTracer):
        found.id_generator = ids
    return found


class _Passing(Concern):
    """Makes no span; the caller's trace goes on to what the handler calls all the same."""

    def __init__(self, extract: Extract) -> None:
        self._extract = extract

    def accept(self, call: Call) -> None:
        context = self._extract(call)
        caller = trace.get_current_span(context).get_span_context()
        if caller.is_valid:
            call.trace = caller.trace_id
        otel_context.attach(context)


class _MethodTracing(Concern):
    """The spans of one method, with what they have in common."""

    def __init__(self, tracing: Tracing, method: Method) -> None:
        self._name = tracing.conventions.span_name(method)
        self._attributes = tracing.conventions.of_method(method)
        self._of_client = tracing.conventions.of_client
        self._endings = tracing.conventions.endings(SERVER_ERRORS)
        self._extract = tracing.extract
        self._tracer = tracing.tracer
        self._sampler = tracing.sampler
        self._root_bound = root_bound(tracing.sampler)
        self._ids = tracing.ids
        self._new_trace_id = tracing.ids.new_trace_id
        self._random = TraceFlags.RANDOM_TRACE_ID if tracing.ids.is_trace_id_random() else TraceFlags.DEFAULT

    def accept(self, call: Call) -> None:
        context = self._extract(call)
        if context is not ROOT or self._root_bound is None:
            call.span = self._asked(call, context)
        else:
            call.trace = trace_id = self._new_trace_id()
            if trace_id & ID_MASK < self._root_bound:
                call.sampled = True
                call.span = self._recorded(trace_id, context)
            else:
                call.span = _Unsampled(trace_id, self._random, self._ids, None)
        # Never detached: the call has a contextvars context of its own, which ends with it.
        otel_context.attach(trace.set_span_in_context(call.span, context))

    def _asked(self, call: Call, context: otel_context.Context) -> trace.Span:
        """Asks the sampler before the SDK does: a span that nobody will see costs a tenth of the SDK's."""
        parent = trace.get_current_span(context).get_span_context()
        flags = parent.trace_flags & TraceFlags.RANDOM_TRACE_ID if parent.is_valid else self._random
        call.trace = parent.trace_id or self._ids.new_trace_id()
        asked = self._sampler.should_sample(
            context, call.trace, self._name, SpanKind.SERVER, self._attributes
        )
        call.sampled = asked.decision is Decision.RECORD_AND_SAMPLE
        if asked.decision is Decision.DROP:
            return _Unsampled(call.trace, flags, self._ids, asked.trace_state)
        return self._recorded(call.trace, context)

    def _recorded(self, trace_id: int, context: otel_context.Context) -> trace.Span:
        with self._ids.giving(trace_id):
            return self._tracer.start_span(
                self._name, context, SpanKind.SERVER, self._attributes, start_time=time.time_ns()
            )

    def end(self, call: Call) -> None:
        span, status = call.span, call.status
        if type(span) is _Unsampled or span is None or status is None or not span.is_recording():
            return
        agent = call.headers.get("user-agent")
        caller = self._of_client(call.peer(), agent if isinstance(agent, str) else None)
        ending = self._endings[status]
        span.set_attributes(caller | ending.attributes)
        if ending.status is not None:
            span.set_status(ending.status)
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
