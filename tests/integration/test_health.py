import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from typer.testing import CliRunner

from app.cli import cli
from app.core.service import SetReady
from app.runtime.health import Health
from tests.support.clients.status import outcome
from tests.support.servers.other import OTHER
from tests.support.servers.probe import PROBE
from tests.support.servers.server import Server, running
from tests.support.waiting import until

SERVING, NOT_SERVING = 1, 2


def check(channel: grpc.Channel, service: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status
    return status


@pytest.mark.parametrize("name", ["", "liveness", "probe.Probe"])
def test_every_service_readiness_and_liveness_are_serving(channel: grpc.Channel, name: str) -> None:
    assert check(channel, name) == SERVING


def test_a_service_that_is_not_served_has_no_health(channel: grpc.Channel) -> None:
    assert outcome(lambda: check(channel, "no.Such")) is grpc.StatusCode.NOT_FOUND


def test_a_service_that_is_not_ready_makes_the_server_not_ready_but_no_other_service() -> None:
    said: list[SetReady] = []
    probe = replace(PROBE, readiness=lambda _servicer, set_ready: said.append(set_ready))
    with running([probe, OTHER]) as server, grpc.insecure_channel(server.target) as channel:
        [set_ready] = said

        def checks() -> list[int]:
            return [check(channel, name) for name in ("", "probe.Probe", OTHER.name, "liveness")]

        set_ready(False)
        set_ready(False)
        assert checks() == [NOT_SERVING, NOT_SERVING, SERVING, SERVING]
        assert server.get("/readyz")[0] == 503
        set_ready(True)
        assert [line["service"] for line in server.lines("service_not_ready")] == ["probe.Probe"]
        assert [line["service"] for line in server.lines("service_ready")] == ["probe.Probe"]
        assert checks() == [SERVING] * 4
        assert server.get("/readyz")[0] == 200


def test_a_service_that_becomes_ready_before_the_start_is_not_logged() -> None:
    def begin(_servicer: object, set_ready: SetReady) -> None:
        set_ready(False)
        set_ready(True)

    with running([replace(PROBE, readiness=begin)]) as server:
        assert [*server.lines("service_not_ready"), *server.lines("service_ready")] == []


def test_a_service_can_be_not_ready_from_the_start_and_ready_during_the_drain() -> None:
    said: list[SetReady] = []

    def begin(_servicer: object, set_ready: SetReady) -> None:
        set_ready(False)
        said.append(set_ready)

    seen: list[int] = []
    with running([replace(PROBE, readiness=begin)], drain_delay=0.5) as server:
        channel = grpc.insecure_channel(server.target)
        assert check(channel) == NOT_SERVING
        assert [line["service"] for line in server.lines("service_not_ready")] == ["probe.Probe"]
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        thread = threading.Thread(target=lambda: seen.extend(answer.status for answer in watch))
        thread.start()
        until(lambda: seen == [NOT_SERVING])
        said[0](True)
        until(lambda: seen == [NOT_SERVING, SERVING])
        said[0](False)
        until(lambda: seen == [NOT_SERVING, SERVING, NOT_SERVING])
        threading.Timer(0.1, said[0], [True]).start()  # the drain has begun by then
    thread.join(5)
    channel.close()
    assert seen == [NOT_SERVING, SERVING, NOT_SERVING]


def test_a_watch_hears_of_every_change_and_ends_with_ok_when_the_server_stops() -> None:
    seen: list[int] = []
    codes: list[grpc.StatusCode] = []
    with running(drain_delay=0.3) as server:
        channel = grpc.insecure_channel(server.target)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        first = threading.Event()

        def follow() -> None:
            for answer in watch:
                seen.append(answer.status)
                first.set()
            codes.append(watch.code())

        thread = threading.Thread(target=follow)
        thread.start()
        assert first.wait(5)
    thread.join(5)
    channel.close()
    assert seen == [SERVING, NOT_SERVING]
    assert codes == [grpc.StatusCode.OK]
    [drained] = server.lines("drain_calls_ended")
    assert drained["after_seconds"] < 2, "an open Watch must not hold the drain up"


def test_the_drain_says_not_ready_and_leaves_liveness_alone() -> None:
    with running(drain_delay=0.6) as server:
        channel = grpc.insecure_channel(server.target)
        assert check(channel) == SERVING
        assert server.get("/readyz") == (200, "ready\n")

        def observe() -> None:
            until(lambda: check(channel) == NOT_SERVING)
            observed.extend([check(channel, "probe.Probe"), check(channel, "liveness")])
            pages.extend([server.get("/readyz"), server.get("/healthz")])
            done = CliRunner().invoke(cli, ["health", "--target", server.target])
            printed.append((done.exit_code, done.stdout))

        observed: list[int] = []
        pages: list[tuple[int, str]] = []
        printed: list[tuple[int, str]] = []
        thread = threading.Thread(target=observe)
        thread.start()
    thread.join(5)
    channel.close()
    assert observed == [NOT_SERVING, SERVING]
    assert pages == [(503, "not ready\n"), (200, "ok\n")]
    assert printed == [(1, "NOT_SERVING\n")]


def listed(server: Server) -> list[str]:
    with grpc.insecure_channel(server.target) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        [reply] = stub.ServerReflectionInfo(iter([request]), timeout=5)
        return [service.name for service in reply.list_services_response.service]


def test_reflection_lists_and_describes_the_services(server: Server, channel: grpc.Channel) -> None:
    assert {"probe.Probe", "grpc.health.v1.Health"} <= set(listed(server))
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="probe.Probe")
    [reply] = stub.ServerReflectionInfo(iter([request]), timeout=5)
    [file] = reply.file_descriptor_response.file_descriptor_proto
    assert descriptor_pb2.FileDescriptorProto.FromString(file).name == "probe.proto"


V1 = "grpc.reflection.v1.ServerReflection"


def test_reflection_v1_answers_as_v1alpha_does_and_describes_itself(
    server: Server, channel: grpc.Channel
) -> None:
    assert {V1, "grpc.reflection.v1alpha.ServerReflection"} <= set(listed(server))
    messages: Any = reflection_pb2
    call: Any = channel.stream_stream(
        f"/{V1}/ServerReflectionInfo",
        messages.ServerReflectionRequest.SerializeToString,
        messages.ServerReflectionResponse.FromString,
    )
    names = ("probe.Probe", V1, "grpc.reflection.v1.ServerReflectionRequest")
    requests = [messages.ServerReflectionRequest(file_containing_symbol=name) for name in names]
    replies = list(call(iter(requests), timeout=5))
    assert [reply.original_request for reply in replies] == requests
    probe, *own = (
        descriptor_pb2.FileDescriptorProto.FromString(reply.file_descriptor_response.file_descriptor_proto[0])
        for reply in replies
    )
    assert probe.name == "probe.proto"
    for file in own:
        assert (file.name, file.package) == ("grpc/reflection/v1/reflection.proto", "grpc.reflection.v1")
        assert "v1alpha" not in str(file)


def test_more_than_four_tools_may_use_reflection_at_a_time(channel: grpc.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    hold = threading.Event()

    def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        hold.wait(10)

    streams = [stub.ServerReflectionInfo(requests(), timeout=10) for _ in range(20)]
    assert all(next(stream).list_services_response.service for stream in streams)
    hold.set()
    assert [list(stream) for stream in streams] == [[]] * 20


def test_health_lists_every_name(channel: grpc.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    messages: Any = health_pb2
    reply = stub.List(messages.HealthListRequest(), timeout=5)
    found = {name: status.status for name, status in reply.statuses.items()}
    assert found == dict.fromkeys(("", "liveness", "probe.Probe"), SERVING)


def test_reflection_can_be_off_and_only_chosen_services_are_served() -> None:
    with running([PROBE, OTHER], reflection=False, services=PROBE.name) as server:
        assert outcome(lambda: listed(server)) is grpc.StatusCode.UNIMPLEMENTED
        with grpc.insecure_channel(server.target) as channel:
            assert check(channel, PROBE.name) == SERVING
            assert outcome(lambda: check(channel, OTHER.name)) is grpc.StatusCode.NOT_FOUND
            call: Any = channel.unary_unary(f"/{OTHER.name}/Echo")
            assert outcome(lambda: call(b"")) is grpc.StatusCode.UNIMPLEMENTED


def test_health_and_reflection_need_no_token(tmp_path: Any) -> None:
    file = tmp_path / "tokens"
    file.write_text("ann:0123456789abcdef\n")
    with running(auth_mode="tokens", auth_tokens_file=file) as server:
        assert "probe.Probe" in listed(server)
        with grpc.insecure_channel(server.target) as channel:
            assert check(channel) == SERVING
            call: Any = channel.unary_unary("/probe.Probe/Unary")
            assert outcome(lambda: call(b"")) is grpc.StatusCode.UNAUTHENTICATED


def test_a_service_is_ready_when_no_cause_is_left_why_it_is_not() -> None:
    health = Health(["acme.One"])
    health.set_ready(ready=True)
    health.set_service_ready("acme.One", False)
    health.set_service_ready("acme.One", False, cause="database")
    assert health.not_ready == ["acme.One"]
    health.set_service_ready("acme.One", True)
    assert health.not_ready == ["acme.One"]
    health.set_service_ready("acme.One", True, cause="database")
    assert health.not_ready == []
    assert health.ready
