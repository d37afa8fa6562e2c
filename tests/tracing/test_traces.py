"""A call's spans in Jaeger, by way of a collector, and its exemplar and log lines, which lead there."""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from app.client.channel import channel
from app.telemetry.tracer_provider import tracer_provider
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.servers.process import ServerProcess, server_process
from tests.support.waiting import until
from tests.tracing.programs import Jaeger, OtelCollector, StoredSpan, collector, jaeger

RELAY = ("-m", "tests.support.servers.relay", "serve")
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    with jaeger(tmp_path_factory.mktemp("jaeger")) as started:
        yield started


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, store: Jaeger) -> Iterator[OtelCollector]:
    with collector(tmp_path_factory.mktemp("collector"), store) as started:
        yield started


def variables(pipeline: OtelCollector, protocol: str, service: str) -> dict[str, str]:
    return FAST | {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": pipeline.endpoints[protocol],
        "OTEL_SERVICE_NAME": service,
    }


def call(target: str, tracing: TracerProvider | None = None) -> None:
    with channel(target, tracing=tracing) as opened:
        stub: Any = probe_pb2_grpc.ProbeStub(opened)
        stub.Unary(pb.ProbeRequest(text="a"), timeout=10)


def exemplars(server: ServerProcess) -> list[str]:
    """The trace ids in the metrics, in the format in which Prometheus asks for them."""
    [address] = server.serving["metrics"]
    request = urllib.request.Request(address, headers={"Accept": OPEN_METRICS})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return re.findall(r'# \{trace_id="(\w+)"\}', answer.read().decode())


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_client_a_server_and_its_outgoing_call_are_one_trace(
    protocol: str, pipeline: OtelCollector, store: Jaeger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(pipeline, protocol, "caller").items():
        monkeypatch.setenv(name, value)
    with (
        server_process(**variables(pipeline, protocol, "back")) as back,
        server_process(
            RELAY,
            RELAY_TARGET=back.target,
            RELAY_TRACES="front",
            **variables(pipeline, protocol, "front"),
        ) as front,
        tracer_provider("caller") as tracing,
    ):
        call(front.target, tracing)
        line = front.wait_for("call")
        spans = until(lambda: len(found := store.trace(line["trace_id"])) == 4 and found, seconds=15)
    assert chain(spans) == [
        ("caller", "client"),
        ("front", "server"),
        ("front", "client"),
        ("back", "server"),
    ]
    assert {span.attributes["rpc.method"] for span in spans} == {"Unary"}
    assert {span.attributes["rpc.grpc.status_code"] for span in spans} == {0}


def chain(spans: list[StoredSpan]) -> list[tuple[str, str]]:
    """Service and kind of each span, from the first of a trace to the last of those that follow it."""
    found, parent = [], ""
    by_parent = {span.parent: span for span in spans}
    while span := by_parent.get(parent):
        found.append((span.service, span.kind))
        parent = span.span_id
    return found


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_exemplar_leads_to_its_trace_and_its_log_lines(
    protocol: str, pipeline: OtelCollector, store: Jaeger
) -> None:
    with server_process(**variables(pipeline, protocol, "exemplary")) as server:
        call(server.target)
        server.wait_for("call")
        [trace_id] = exemplars(server)
        [span] = until(lambda: store.trace(trace_id), seconds=15)
        assert (span.service, span.kind, span.trace_id) == ("exemplary", "server", trace_id)
        lines = [json.loads(line) for line in server.output]
    [logged] = [line for line in lines if line.get("trace_id") == trace_id]
    assert (logged["event"], logged["method"], logged["code"]) == ("call", "Unary", "OK")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_no_span_is_lost_over_restarts_with_a_drain(protocol: str, pipeline: OtelCollector) -> None:
    """The delay between two exports is longer than the process lives: the drain exports them."""
    service, calls = f"restarted over {protocol}", 40
    given = variables(pipeline, protocol, service) | {"OTEL_BSP_SCHEDULE_DELAY": "60000"}
    made: set[str] = set()
    for _ in range(3):
        with server_process(**given) as server:
            for _ in range(calls):
                call(server.target)
            assert server.end() == 0
        lines = [json.loads(line) for line in server.output]
        made |= {line["trace_id"] for line in lines if line["event"] == "call"}
        [flushed] = [line for line in lines if line["event"] == "spans_flushed"]
        assert (flushed["exported"], flushed["dropped"]) == (calls, 0)
    assert len(made) == 3 * calls

    def stored() -> set[str]:
        return {span.trace_id for span in pipeline.spans() if span.service == service}

    until(lambda: len(stored()) >= len(made), seconds=10)
    assert stored() == made
