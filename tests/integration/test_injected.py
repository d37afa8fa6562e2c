"""The program in a process that somebody has instrumented from outside, as clusters do for all pods."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.runtime.health import LIVENESS
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.servers.collector import Collector, collecting
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.process import ServerProcess, server_process
from tests.support.waiting import until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)

RELAY = ("-m", "tests.support.servers.relay", "serve")
BIN = Path(sys.executable).parent
INJECTORS = {
    "opentelemetry": (str(BIN / "opentelemetry-instrument"), sys.executable, *RELAY),
    "elastic": (str(BIN / "elasticapm-run"), sys.executable, *RELAY),
}


class Injected(NamedTuple):
    """The instrumented program; the server that its handlers call; the collector of its spans."""

    server: ServerProcess
    stub: Any
    health: Any
    channel: grpc.Channel
    upstream: ProbeServer
    collector: Collector


@contextmanager
def injected(command: Sequence[str], **variables: str) -> Iterator[Injected]:
    with (
        probe_server() as upstream,
        collecting() as (collector, endpoint),
        server_process(
            command,
            RELAY_TARGET=f"dns:///{upstream.server.target}",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_SERVICE_NAME="outside",
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
            ELASTIC_APM_SERVER_URL="http://127.0.0.1:9",
            **variables,
        ) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        yield Injected(
            server,
            probe_pb2_grpc.ProbeStub(channel),
            health_pb2_grpc.HealthStub(channel),
            channel,
            upstream,
            collector,
        )


@pytest.fixture(scope="module", params=INJECTORS)
def program(request: pytest.FixtureRequest) -> Iterator[Injected]:
    with injected(INJECTORS[request.param]) as found:
        yield found


def test_idle_streams_leave_health_checks_and_calls_alone(program: Injected) -> None:
    done = threading.Event()
    streams = [program.stub.BidiStream(iter(done.wait, True), timeout=30) for _ in range(40)]
    for name in ("", LIVENESS, "probe.Probe"):
        checked = program.health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert checked.status == 1
    program.stub.Unary(pb.ProbeRequest(text="a"), timeout=5)
    done.set()
    for stream in streams:
        stream.cancel()


def test_a_call_has_one_server_span_in_the_callers_trace_and_a_health_check_none(program: Injected) -> None:
    for name in ("", LIVENESS):
        program.health.Check(health_pb2.HealthCheckRequest(service=name), metadata=TRACED, timeout=5)
    program.stub.Unary(pb.ProbeRequest(text="a"), metadata=TRACED, timeout=5)
    unknown: Any = program.channel.unary_unary("/made/Up")
    assert outcome(lambda: unknown(b"", metadata=TRACED, timeout=5)) is grpc.StatusCode.UNIMPLEMENTED

    def served() -> list[Any]:
        return [one for one in program.collector.spans if one.trace_id == TRACE and one.kind == "server"]

    spans = until(lambda: len(served()) >= 2 and served())
    assert [one.service for one in spans] == ["outside", "outside"]
    assert [one.name for one in spans] == ["/probe.Probe/Unary", "/unknown/unknown"]
    assert {one.parent for one in spans} == {SPAN}
    assert not [one for one in program.collector.spans if "Health" in one.name]


def test_a_cancel_reaches_the_streams_that_a_handler_reads(program: Injected) -> None:
    program.upstream.probe.between = lambda context: context.wait(20)
    stream = program.stub.ServerStream(pb.ProbeRequest(text="a"), timeout=20)
    next(stream)
    stream.cancel()

    def ended() -> list[Any]:
        return [one["code"] for one in program.upstream.server.calls() if one["method"] == "ServerStream"]

    assert until(ended) == ["Canceled"]
    program.upstream.probe.between = lambda _context: None
    assert not [one for one in program.server.output if "has no attribute" in one]


def test_an_outgoing_call_has_one_client_span_within_the_call_that_makes_it() -> None:
    with injected(INJECTORS["opentelemetry"]) as program:
        arrived: list[Any] = []
        program.upstream.probe.on_call = lambda *given: arrived.extend(given[-1].invocation_metadata())
        program.stub.Unary(pb.ProbeRequest(text="a"), metadata=TRACED, timeout=5)
        list(program.stub.ServerStream(pb.ProbeRequest(text="a"), metadata=TRACED, timeout=5))
        assert program.server.end() == 0
        spans = [one for one in program.collector.spans if one.trace_id == TRACE]
    by_name = {(one.kind, one.name): one for one in spans}
    assert len(spans) == len(by_name) == 4
    assert all(one.injected for one in spans)
    sent = {str(value) for key, value in arrived if key == "traceparent"}
    for name in ("/probe.Probe/Unary", "/probe.Probe/ServerStream"):
        client = by_name["client", name]
        assert client.parent == by_name["server", name].span_id
        assert f"00-{TRACE}-{client.span_id}-01" in sent


def test_the_variables_of_the_instrumentation_apply() -> None:
    with injected(
        INJECTORS["opentelemetry"],
        OTEL_PYTHON_GRPC_EXCLUDED_SERVICES="probe.Probe",
        OTEL_PROPAGATORS="b3,baggage",
    ) as program:
        program.stub.Unary(pb.ProbeRequest(text="a"), metadata=TRACED, timeout=5)
        unknown: Any = program.channel.unary_unary("/made/Up")
        b3 = (("b3", f"{TRACE}-{SPAN}-1"),)
        assert outcome(lambda: unknown(b"", metadata=b3, timeout=5)) is grpc.StatusCode.UNIMPLEMENTED
        assert program.server.end() == 0
        [span] = [one for one in program.collector.spans if one.kind == "server"]
    assert (span.name, span.trace_id, span.parent) == ("/unknown/unknown", TRACE, SPAN)
