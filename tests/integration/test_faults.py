"""Faults that are switched on in a running server: each does what it says, to the calls that it names."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.services import SERVICES
from deploy.faults import memory
from deploy.faults.faults import Faults
from deploy.faults.faulty import faulty
from deploy.faults.gen.faults.v1 import faults_pb2 as pb
from deploy.faults.gen.faults.v1 import faults_pb2_grpc
from deploy.faults.service import faults_service
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import ProbeRequest
from tests.support.clients.status import outcome
from tests.support.servers.other import OTHER
from tests.support.servers.probe import CALLS, NAME, PROBE, Probe
from tests.support.servers.process import run, server_process
from tests.support.servers.server import Server, running
from tests.support.waiting import until

MIB = 1024**2
WRONG = {
    ("--code", "broken"): "--code: 'broken' is no status code",
    ("--latency", "nan"): "Invalid value for '--latency'",
    ("--memory", "1e30"): "Invalid value for '--memory'",
    ("--stuck", "99999999999"): "Invalid value for '--stuck'",
}


class Faulty:
    """A server with faults, and clients of its services."""

    def __init__(self, server: Server, channel: grpc.Channel, faults: Faults) -> None:
        self.server = server
        self.channel = channel
        self.faults = faults
        self.probe: Any = probe_pb2_grpc.ProbeStub(channel)
        self._control = faults_pb2_grpc.FaultsServiceStub(channel)

    def set(self, **faults: Any) -> None:
        self._control.SetFaults(pb.SetFaultsRequest(faults=pb.Faults(**faults)), timeout=5)

    @property
    def on(self) -> pb.Faults:
        return self._control.GetFaults(pb.GetFaultsRequest(), timeout=5).faults

    def call(self, method: str, **how: Any) -> grpc.StatusCode:
        return outcome(lambda: CALLS[method](self.probe, timeout=5, **how))


@contextmanager
def started(**changes: Any) -> Iterator[Faulty]:
    faults = Faults()
    control = faults_service(faults, [PROBE, OTHER])
    services = [faulty(PROBE, faults), faulty(OTHER, faults), control]
    with running(services, **changes) as server, grpc.insecure_channel(server.target) as channel:
        yield Faulty(server, channel, faults)
        faults.set(pb.Faults())


@pytest.fixture(scope="module")
def shared() -> Iterator[Faulty]:
    with started() as opened:
        yield opened


@pytest.fixture
def server(shared: Faulty) -> Iterator[Faulty]:
    yield shared
    shared.set()


@pytest.mark.parametrize("method", CALLS)
def test_without_faults_calls_are_as_without_the_service(server: Faulty, method: str) -> None:
    assert server.on == pb.Faults()
    assert server.call(method) is grpc.StatusCode.OK


@pytest.mark.parametrize("method", CALLS)
def test_latency_delays_each_call(server: Faulty, method: str) -> None:
    server.set(latency=Duration(nanos=300_000_000))
    began = time.monotonic()
    assert server.call(method) is grpc.StatusCode.OK
    assert 0.3 <= time.monotonic() - began < 1.5


@pytest.mark.parametrize("method", CALLS)
def test_a_share_of_calls_fails_with_the_code(server: Faulty, method: str) -> None:
    server.set(error_share=0.2, code=code_pb2.INTERNAL)
    codes = [server.call(method) for _ in range(10)]
    assert codes == ([grpc.StatusCode.OK] * 4 + [grpc.StatusCode.INTERNAL]) * 2


def test_errors_are_counted_logged_and_traced_as_those_of_a_handler(server: Faulty) -> None:
    server.set(error_share=1)
    assert server.call("Unary", metadata=[("x-request-id", "f00d")]) is grpc.StatusCode.UNAVAILABLE
    until(lambda: ("probe.Probe", "Unary", "Unavailable") in server.server.handled())
    [line] = [one for one in server.server.calls() if one["request_id"] == "f00d"]
    assert line["code"] == "Unavailable"
    [span] = [one for one in server.server.spans if f"{one.context.trace_id:032x}" == line["trace_id"]]
    assert not span.status.is_ok


def test_faults_hit_only_the_method_that_is_named(server: Faulty) -> None:
    server.set(error_share=1, method=f"{NAME}/ServerStream")
    assert server.call("ServerStream") is grpc.StatusCode.UNAVAILABLE
    assert server.call("Unary") is grpc.StatusCode.OK


def test_stuck_calls_stay_until_other_faults_are_set_and_further_calls_are_answered(server: Faulty) -> None:
    server.set(stuck_calls=2)
    calls = [server.probe.Unary.future(ProbeRequest(text="a"), timeout=0.3) for _ in range(2)]
    assert [outcome(call.result) for call in calls] == [grpc.StatusCode.DEADLINE_EXCEEDED] * 2
    assert server.call("Unary") is grpc.StatusCode.OK

    def running_calls() -> float:
        return server.server.total("grpc_server_concurrency", kind="calls")

    assert running_calls() == 2, "both clients have gone, and their handlers are still there"
    server.set()
    until(lambda: running_calls() == 0)


def test_other_faults_leave_stuck_calls_as_they_are(server: Faulty) -> None:
    server.set(stuck_calls=1)
    call = server.probe.Unary.future(ProbeRequest(text="a"), timeout=5)
    until(lambda: server.server.total("grpc_server_concurrency", kind="calls") == 1)
    server.set(stuck_calls=1, latency=Duration(nanos=1))
    assert server.call("Unary") is grpc.StatusCode.OK, "no further call gets stuck"
    assert not call.done()
    server.set(stuck_calls=0)
    assert outcome(call.result) is grpc.StatusCode.OK


def test_a_service_that_stores_its_readiness_keeps_it() -> None:
    followed: list[object] = []
    probe = replace(PROBE, readiness=lambda servicer, _set_ready: followed.append(servicer))
    with running([faulty(probe, Faults())]):
        assert [type(one) for one in followed] == [Probe]


def test_a_server_that_is_not_ready_is_alive(server: Faulty) -> None:
    server.set(not_ready=True)
    assert [server.server.get(path)[0] for path in ("/readyz", "/healthz")] == [503, 200]
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    server.set()
    assert server.server.get("/readyz")[0] == 200


def test_memory_grows_at_the_rate_until_it_is_0(server: Faulty) -> None:
    server.set(memory_bytes_per_second=20 * MIB)
    until(lambda: server.faults.memory.held >= 10 * MIB)
    server.set()
    assert server.faults.memory.held == 0


def test_memory_has_a_bound(server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST", 3 * MIB)
    server.set(memory_bytes_per_second=20 * MIB)
    until(lambda: server.faults.memory.held >= 3 * MIB)
    time.sleep(0.5)
    assert server.faults.memory.held == 4 * MIB, "one step beyond"


@pytest.mark.parametrize(
    ("faults", "field"),
    [
        ({"method": "probe.Probe/None"}, "faults.method"),
        ({"latency": Duration(seconds=61)}, "faults.latency"),
        ({"latency": Duration(seconds=-1)}, "faults.latency"),
        ({"error_share": 1.1}, "faults.error_share"),
        ({"error_share": float("nan")}, "faults.error_share"),
        ({"code": 17}, "faults.code"),
        ({"stuck_calls": -1}, "faults.stuck_calls"),
        ({"memory_bytes_per_second": 1024 * MIB}, "faults.memory_bytes_per_second"),
    ],
)
def test_wrong_faults_are_refused_and_change_nothing(
    server: Faulty, faults: dict[str, Any], field: str
) -> None:
    server.set(error_share=0.5)
    with pytest.raises(grpc.RpcError) as caught:
        server.set(**faults)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(caught.value.details()).startswith(f"{field}: must be ")
    assert server.on == pb.Faults(error_share=0.5)


def test_the_faults_of_a_stopped_server_are_not_those_of_the_next_one() -> None:
    with started() as first:
        first.set(error_share=1)
    with started() as second:
        assert second.on == pb.Faults()


def test_the_command_switches_them_in_a_server_of_its_own_and_prints_them() -> None:
    with server_process(("-m", "deploy.faults", "serve")) as server:

        def faults(*options: str) -> str:
            done = run("faults", "--target", server.target, *options, module="deploy.faults")
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert faults() == "all off\n"
        assert faults("--latency", "0.2", "--errors", "0.5") == "latency: 0.200s\nerror_share: 0.5\n"
        assert faults("--errors", "0", "--code", "not_found") == "latency: 0.200s\ncode: NOT_FOUND\n"
        assert faults("--off", "--not-ready", "--memory", "1") == (
            "not_ready: True\nmemory_bytes_per_second: 1048576\n"
        )
        assert faults("--ready", "--memory", "0") == "all off\n"
        for options, problem in WRONG.items():
            wrong = run("faults", *options, "--target", server.target, module="deploy.faults")
            assert wrong.returncode == 2, options
            assert problem in wrong.stderr
            assert "Traceback" not in wrong.stderr
        assert server.end() == 0


def test_the_program_itself_has_no_faults() -> None:
    assert "faults.v1.FaultsService" not in [service.name for service in SERVICES]
    done = run("faults")
    assert done.returncode == 2
    assert "No such command 'faults'" in done.stderr
