"""The caller's trace context, read from metadata by the propagators that OTEL_PROPAGATORS lists."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from app.core.call import Call

# The `traceparent` header. Version 00 ends after the flags; a later one may continue after another `-`.
# ff is not a version.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)


class TraceParent(NamedTuple):
    """The caller's span: identifiers as integers that are not 0, and the flags' byte."""

    trace_id: int
    span_id: int
    flags: int


def parse_traceparent(header: str) -> TraceParent | None:
    """Returns the caller's span, or None if the header is invalid and must be ignored."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    return TraceParent(int(match[2], 16), int(match[3], 16), int(match[4], 16))


# Given a call, returns the context that its span starts in: the caller's span, and nothing of this process.
Extract = Callable[[Call], Context]

# The context of a call without a caller's span; the same object for all of them.
ROOT = Context()


def extractor(environment: Mapping[str, str], *, installed: bool = False) -> Extract:
    """Returns the function that reads a caller's trace context.

    If OTEL_PROPAGATORS is unset, it reads trace context only. OpenTelemetry's default adds baggage, which
    nothing here needs: to read 8 KiB of it takes three times as long as a call. With `installed`, someone has
    set OpenTelemetry up in this process, and its global propagator applies, whatever that is.
    """
    named = {one.strip() for one in environment.get("OTEL_PROPAGATORS", "").split(",")} - {""}
    if "none" in {one.lower() for one in named}:
        return _nothing
    return _by_global_propagator() if installed or named - {"tracecontext"} else trace_context


def trace_context(call: Call) -> Context:
    """Reads `traceparent` and `tracestate`: https://www.w3.org/TR/trace-context/."""
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


def _by_global_propagator() -> Extract:
    # Imported only where it is used: it reads OTEL_PROPAGATORS when it is imported.
    from opentelemetry.propagate import get_global_textmap

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
