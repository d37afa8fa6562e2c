"""A client span for each outgoing call, and its trace context in the call's metadata.

This replaces opentelemetry-instrumentation-grpc, which returns streamed replies as bare generators, loses all
but the last of several metadata entries with one key, keeps dropped calls running, records error texts on
spans, and does not support the newer semantic conventions.
"""

import grpc
from opentelemetry import context as otel_context
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind, TracerProvider, set_span_in_context

from app.client.interceptor import Metadata
from app.client.observer import Observation, Observer
from app.client.target import server_of
from app.core.method import Method
from app.telemetry.conventions import CLIENT_ERRORS, Conventions, StatusOutcome


class ClientTracing(Observer):
    """Spans are children of the current span; names and attributes follow OpenTelemetry's conventions.

    The propagators of OTEL_PROPAGATORS write to the metadata, and replace entries with the same keys.
    Messages and error texts are not recorded.
    """

    def __init__(self, provider: TracerProvider, target: str, conventions: Conventions) -> None:
        """`target` is the target of the channel."""
        self._tracer = provider.get_tracer(__name__)
        self._conventions = conventions
        self._server = conventions.of_server(*server_of(target))
        self._outcomes = conventions.outcomes(CLIENT_ERRORS)

    def start(self, method: Method, metadata: Metadata) -> tuple[Observation, Metadata]:
        span = self._tracer.start_span(
            self._conventions.span_name(method),
            kind=SpanKind.CLIENT,
            attributes=self._conventions.of_method(method) | self._server,
        )
        otel_context.attach(set_span_in_context(span))
        written: dict[str, str] = {}
        inject(written)
        written = {key.lower(): value for key, value in written.items()}  # gRPC accepts only lower case
        kept = [(key, value) for key, value in metadata if key not in written]
        return _CallSpan(span, self._outcomes), (*kept, *written.items())


class _CallSpan(Observation):
    def __init__(self, span: Span, outcomes: dict[grpc.StatusCode, StatusOutcome]) -> None:
        self._span = span
        self._outcomes = outcomes

    def ended(self, code: grpc.StatusCode) -> None:
        outcome = self._outcomes[code]
        self._span.set_attributes(outcome.attributes)
        if outcome.status is not None:
            self._span.set_status(outcome.status)
        self._span.end()
