"""How a caller's trace comes in: by the propagators that OTEL_PROPAGATORS names."""

import logging
from collections.abc import Callable, Mapping

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from app.core.errors import StartError
from app.core.metadata import Metadata
from app.core.traceparent import parse_traceparent

# Given a call's metadata, the context that its span is started in: the caller's span, and no more of here.
Extract = Callable[[Metadata], Context]

# Of a call that brings no trace; the same object for all of them.
ROOT = Context()


def extractor(environment: Mapping[str, str]) -> Extract:
    """Trace context alone where OTEL_PROPAGATORS is unset: the standard's default has baggage as well.

    Nothing here needs baggage, and reading what a caller may send, 8 KiB, takes three times as long as a
    call. Where it is named it is read, as is all that is installed; `none` reads nothing. Raises StartError
    for other names.
    """
    named = {one.strip() for one in environment.get("OTEL_PROPAGATORS", "").split(",")} - {""}
    if "none" in {one.lower() for one in named}:
        return _nothing
    return _as_configured(named) if named - {"tracecontext"} else trace_context


def trace_context(metadata: Metadata) -> Context:
    """Reads `traceparent` and `tracestate`, as https://www.w3.org/TR/trace-context/ has it."""
    header = state = None
    for key, value in metadata:
        if key == "traceparent" and isinstance(value, str):
            header = value
        elif key == "tracestate" and isinstance(value, str):
            state = value
    parent = parse_traceparent(header) if header is not None else None
    if parent is None:
        return ROOT
    caller = SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([state]) if state else None,
    )
    return set_span_in_context(NonRecordingSpan(caller), ROOT)


def _nothing(metadata: Metadata) -> Context:
    del metadata
    return ROOT


def _as_configured(named: set[str]) -> Extract:
    try:
        # Imported only where it is used: it reads OTEL_PROPAGATORS, and fails, when it is imported.
        from opentelemetry.propagate import get_global_textmap  # noqa: PLC0415
    except ValueError as error:
        raise StartError(
            f"OTEL_PROPAGATORS: {','.join(sorted(named))!r} does not fit: {error}"
            " tracecontext, baggage and none are always there"
        ) from error
    textmap = get_global_textmap()
    # One line of this logger's for each wrong entry, which any caller may send.
    logging.getLogger("opentelemetry.baggage.propagation").setLevel(logging.ERROR)

    def extract(metadata: Metadata) -> Context:
        carrier: dict[str, list[str]] = {}
        for key, value in metadata:
            if isinstance(value, str):
                carrier.setdefault(key, []).append(value)
        return textmap.extract(carrier, ROOT)

    return extract
