"""Our server spans beside those of opentelemetry-instrumentation-grpc 0.66b2, for the same calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from opentelemetry.instrumentation.grpc import server_interceptor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.core.errors import OutOfRange
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import probe_server
from tests.support.waiting import until

SECRET = "s3cret"  # noqa: S105 - what an error says, and no span may


@dataclass(frozen=True)
class End:
    """How a handler ends its call, the code that the client sees, and where their span is wrong about it."""

    act: Callable[[Any], object]  # given the handler's context
    code: grpc.StatusCode
    theirs: dict[str, object] = field(default_factory=dict)  # attributes that they have instead
    their_status: StatusCode | None = None  # where it is not ours
    their_exceptions: int = 0  # events with the error's text and traceback; ours never have one


def fail(error: Exception) -> None:
    raise error


class Status(grpc.Status):
    code, details, trailing_metadata = grpc.StatusCode.DATA_LOSS, SECRET, ()


# Each deviation is a defect of theirs: an error that is raised leaves the code at 0, and is recorded twice,
# as is an abort; abort_with_status is not seen at all.
ENDS = {
    "answered": End(lambda _context: None, grpc.StatusCode.OK),
    "code set": End(lambda context: context.set_code(grpc.StatusCode.NOT_FOUND), grpc.StatusCode.NOT_FOUND),
    "server's error set": End(
        lambda context: context.set_code(grpc.StatusCode.DATA_LOSS), grpc.StatusCode.DATA_LOSS
    ),
    "abort": End(
        lambda context: context.abort(grpc.StatusCode.NOT_FOUND, SECRET),
        grpc.StatusCode.NOT_FOUND,
        their_exceptions=2,
    ),
    "abort with a server's error": End(
        lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, SECRET),
        grpc.StatusCode.UNAVAILABLE,
        their_exceptions=2,
    ),
    "abort_with_status": End(
        lambda context: context.abort_with_status(Status()),
        grpc.StatusCode.DATA_LOSS,
        theirs={"rpc.grpc.status_code": 0},
        their_status=StatusCode.UNSET,
        their_exceptions=2,
    ),
    "domain error": End(
        lambda _context: fail(OutOfRange(SECRET)),
        grpc.StatusCode.OUT_OF_RANGE,
        theirs={"rpc.grpc.status_code": 0},
        their_exceptions=2,
    ),
    "bug": End(
        lambda _context: fail(ValueError(SECRET)),
        grpc.StatusCode.INTERNAL,
        theirs={"rpc.grpc.status_code": 0},
        their_status=StatusCode.UNSET,
        their_exceptions=2,
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("method", CALLS)
def test_spans_equal_those_of_opentelemetrys_own_instrumentation_but_where_those_are_wrong(
    method: str, end: str
) -> None:
    expected = ENDS[end]
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    interceptor = server_interceptor(provider)  # type: ignore[no-untyped-call]
    with probe_server(interceptors=[interceptor]) as at:
        at.probe.on_call = lambda *given: expected.act(given[-1])
        assert outcome(lambda: CALLS[method](at.stub)) is expected.code
        [ours] = until(lambda: at.server.spans)
        [theirs] = until(exporter.get_finished_spans)
    assert ours.name == theirs.name
    assert ours.kind is theirs.kind
    assert dict(ours.attributes) | expected.theirs == dict(theirs.attributes)
    assert ours.attributes["rpc.grpc.status_code"] == expected.code.value[0]
    assert theirs.status.status_code is (expected.their_status or ours.status.status_code)
    assert len(theirs.events) == expected.their_exceptions
    assert not ours.events
    assert SECRET not in ours.to_json()
