"""Which server has answered: in metadata for callers that ask, in its log, on its spans."""

import re
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.telemetry.tracer_provider import tracer_provider
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.process import server_process
from tests.support.servers.server import running

ASKING = (("x-instance", "?"),)
RANDOM = r"[0-9a-f]{8}"


def answers(call: Any) -> list[str]:
    """The instances that a call's trailing metadata name."""
    return [value for key, value in call.trailing_metadata() if key == "x-instance"]


def asked(at: ProbeServer, path: str = "/probe.Probe/Unary") -> list[str]:
    call = at.channel.unary_unary(path).future(b"", metadata=ASKING, timeout=5)
    call.code()
    return answers(call)


@pytest.mark.parametrize("method", CALLS)
def test_a_call_with_the_request_header_gets_the_instance_id(method: str) -> None:
    with probe_server() as at:
        call = at.channel.stream_stream(f"/probe.Probe/{method}")(iter([b""]), metadata=ASKING, timeout=5)
        assert list(call)
        assert answers(call) == [at.server.handle.instance]
        assert re.fullmatch(RANDOM, at.server.handle.instance)


def test_a_call_without_the_request_header_gets_no_instance_id() -> None:
    with probe_server() as at:
        call = at.channel.unary_unary("/probe.Probe/Unary").future(b"", timeout=5)
        assert call.code() is grpc.StatusCode.OK
        assert answers(call) == []


def test_rejected_calls_and_health_checks_get_the_instance_id_too() -> None:
    with probe_server(max_metadata_bytes=1024) as at:
        own = [at.server.handle.instance]
        assert asked(at, "/no.Such/Method") == own
        long = at.channel.unary_unary("/probe.Probe/Unary").future(
            b"", metadata=(*ASKING, ("x-long", "x" * 2000)), timeout=5
        )
        assert long.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert answers(long) == own
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        _, call = stub.Check.with_call(health_pb2.HealthCheckRequest(), metadata=ASKING, timeout=5)
        assert answers(call) == own


def test_an_instance_id_that_a_handler_sends_does_not_replace_the_servers() -> None:
    def claim(_request: Any, context: Any) -> None:
        context.set_trailing_metadata((("x-instance", "mine"),))

    with probe_server() as at:
        at.probe.on_call = claim
        assert asked(at) == ["mine", at.server.handle.instance]


def test_each_server_has_its_own_instance_id() -> None:
    with running() as one, running() as other:
        assert one.handle.instance != other.handle.instance


def test_the_log_line_of_the_start_has_the_instance_id() -> None:
    with server_process() as started:
        instance = started.serving["instance"]
        assert re.fullmatch(RANDOM, instance)
        channel: Any = grpc.insecure_channel(started.target)
        call = channel.unary_unary("/probe.Probe/Unary").future(b"", metadata=ASKING)
        call.result(timeout=5)
        assert answers(call) == [instance]
        channel.close()


def test_the_resource_of_spans_has_the_instance_id() -> None:
    with tracer_provider("test") as one, tracer_provider("test") as other:
        found = [str(each.resource.attributes["service.instance.id"]) for each in (one, other)]
    assert all(re.fullmatch(RANDOM, each) for each in found)
    assert found[0] != found[1]


def instance_and_attribute(monkeypatch: pytest.MonkeyPatch, given: str) -> tuple[str, object]:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"service.instance.id={given}")
    with tracer_provider("test") as provider, running(spans=provider) as server:
        return server.handle.instance, provider.resource.attributes["service.instance.id"]


@pytest.mark.parametrize("given", ["server-5d8f-x7k2p", "627cc493-f310-47de-96bd-71410b7dec09", "a" * 128])
def test_an_instance_id_of_the_environment_is_used_everywhere(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    assert instance_and_attribute(monkeypatch, given) == (given, given)


@pytest.mark.parametrize(("given", "kept"), [("a%20b", "a b"), ("a" * 129, "a" * 129), ("%C3%A9", "é")])
def test_a_long_or_unsafe_instance_id_of_the_environment_is_only_on_spans(
    monkeypatch: pytest.MonkeyPatch, given: str, kept: str
) -> None:
    instance, attribute = instance_and_attribute(monkeypatch, given)
    assert re.fullmatch(RANDOM, instance)
    assert attribute == kept
