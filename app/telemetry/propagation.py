"""How a caller's trace comes in: by the propagators that OTEL_PROPAGATORS names."""

import logging
from collections.abc import Callable, Mapping

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from app.core.call import Call
from app.core.errors import StartError
from app.telemetry.traceparent import parse_traceparent

# Given a call, the context that its span is started in: the caller's span, and no more of here.
Extract = Callable[[Call], Context]

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


def trace_context(call: Call) -> Context:
    """Reads `traceparent` and `tracestate`, as https://www.w3.org/TR/trace-context/ has it."""
    header, state = call.headers.get("traceparent"), call.headers.get("tracestate")
    parent = parse_traceparent(header) if isinstance(header, str) else None
    if parent is None:
        return ROOT
    caller = SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([state]) if isinstance(state, str) and state else None,
    )
    return set_span_in_context(NonRecordingSpan(caller), ROOT)


def _nothing(call: Call) -> Context:
    del call
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

    def extract(call: Call) -> Context:
        carrier: dict[str, list[str]] = {}
        for key, value in call.metadata:
            if isinstance(value, str):
                carrier.setdefault(key, []).append(value)
        return textmap.extract(carrier, ROOT)

    return extract
