"""The `traceparent` header: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header."""

import re
from typing import NamedTuple

# Version 00 ends after the flags; a later one may go on after a further `-`. ff is not a version.
_FORM = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)


class TraceParent(NamedTuple):
    """The caller's span: identifiers as integers that are not 0, and the flags' byte."""

    trace_id: int
    span_id: int
    flags: int


def parse_traceparent(header: str) -> TraceParent | None:
    """Returns the caller's span, or None where the header is not a valid one and must be ignored."""
    match = _FORM.fullmatch(header)
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    return TraceParent(int(match[2], 16), int(match[3], 16), int(match[4], 16))
