import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.propagation import parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_valid_header_names_the_callers_span() -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-01") == (int(TRACE, 16), int(SPAN, 16), 1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",  # version 00 has no more fields
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
    ],
)
def test_an_invalid_header_is_ignored(header: str) -> None:
    assert parse_traceparent(header) is None


def test_a_later_version_may_have_more_fields() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-more") is not None


@given(
    st.one_of(
        st.text(), st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", fullmatch=True)
    )
)
def test_it_agrees_with_opentelemetrys_own_parser(header: str) -> None:
    context = TraceContextTextMapPropagator().extract({"traceparent": header})
    theirs = trace.get_current_span(context).get_span_context()
    ours = parse_traceparent(header)
    # OpenTelemetry also takes a trailing line feed and, for later versions, anything after the flags.
    if header.endswith("\n") or not header.isascii():
        return
    assert (ours is not None) == theirs.is_valid
    if ours is not None:
        assert (ours.trace_id, ours.span_id, ours.flags & 1) == (
            theirs.trace_id,
            theirs.span_id,
            theirs.trace_flags & 1,
        )
