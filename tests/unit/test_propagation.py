"""Which of a caller's headers count, by OTEL_PROPAGATORS."""

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.baggage import get_all
from opentelemetry.trace import get_current_span

from app.core.call import Call
from app.core.method import UNKNOWN
from app.telemetry.propagation import Extract, extractor

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
B3_TRACE, B3_MULTI_TRACE = "1" * 32, "2" * 32
METADATA = (
    ("traceparent", f"00-{TRACE}-{SPAN}-01"),
    ("tracestate", "rojo=00f067aa0ba902b7"),
    ("baggage", "user=alice"),
    ("grpc-trace-bin", b"\0"),
    ("b3", f"{B3_TRACE}-{SPAN}-1"),
    ("x-b3-traceid", B3_MULTI_TRACE),
    ("x-b3-spanid", SPAN),
    ("x-b3-sampled", "1"),
)


def call() -> Call:
    return Call(UNKNOWN, METADATA)


def trace_of(extract: Extract) -> str:
    caller = get_current_span(extract(call())).get_span_context()
    return f"{caller.trace_id:032x}" if caller.is_valid else ""


@pytest.mark.parametrize("value", [None, "", "tracecontext", " tracecontext ", "tracecontext,tracecontext"])
def test_trace_context_is_read_and_baggage_is_not(value: str | None) -> None:
    extract = extractor({} if value is None else {"OTEL_PROPAGATORS": value})
    assert trace_of(extract) == TRACE
    assert get_current_span(extract(call())).get_span_context().trace_state.get("rojo") == "00f067aa0ba902b7"
    assert get_all(extract(call())) == {}


@pytest.mark.parametrize("value", ["none", "None", "tracecontext,none"])
def test_none_reads_nothing(value: str) -> None:
    assert trace_of(extractor({"OTEL_PROPAGATORS": value})) == ""


# OpenTelemetry reads the variable when it is imported, so each of these has a process of its own.
PROGRAM = """
import os
from opentelemetry.baggage import get_all
from app.telemetry.otel_variables import correct
from app.telemetry.propagation import extractor
from tests.unit.test_propagation import call, trace_of
ignored = [tuple(one) for one in correct(os.environ)]
extract = extractor(os.environ)
print(trace_of(extract), dict(get_all(extract(call()))), *ignored)
"""


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("baggage,tracecontext", f"{TRACE} {{'user': 'alice'}}"),
        ("baggage", " {'user': 'alice'}"),
        ("b3", f"{B3_TRACE} {{}}"),
        ("b3multi", f"{B3_TRACE} {{}}"),  # which reads the single header first
        ("tracecontext,baggage,b3", f"{B3_TRACE} {{'user': 'alice'}}"),  # the last that finds a caller counts
        ("B3, tracecontext", f"{TRACE} {{}}"),
        ("b3m", f"{TRACE} {{}} ('OTEL_PROPAGATORS', 'b3m', 'not installed', 'the default')"),
        (
            "xray,baggage,xray",
            " {'user': 'alice'} ('OTEL_PROPAGATORS', 'xray', 'not installed', 'baggage')",
        ),
    ],
)
def test_what_else_is_named_is_read_where_it_is_installed_and_ignored_elsewhere(
    value: str, printed: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        env={"OTEL_PROPAGATORS": value},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.rstrip("\n") == printed
