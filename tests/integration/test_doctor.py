"""The command `doctor`: the target, the connection, proxies and the server."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from hpack import Encoder
from hyperframe.frame import HeadersFrame, SettingsFrame

from app.core.name import NAME
from app.tools.doctor.connection import connection
from app.tools.doctor.facts import Arguments, Facts
from app.tools.doctor.rpc import safe_methods
from app.tools.doctor.steps import STEPS, diagnose
from app.tools.doctor.target import proxy_for
from tests.support.clients.doctor import doctor, in_shell, listener, says, typed
from tests.support.clients.status import code
from tests.support.network.http2 import Frames
from tests.support.network.ports import unused_ports
from tests.support.servers.probe import PROBE
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import server_process
from tests.support.servers.server import Server, running
from tests.support.servers.web import web
from tests.support.waiting import until

DESCRIPTORS = [PROBE.descriptor]
# This machine, by an address that the client does not take for it: so it asks the environment's proxy.
ELSEWHERE = "0.0.0.0"  # noqa: S104 - called, and not listened on


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


def port_of(server: Server) -> int:
    return int(server.target.rpartition(":")[2])


def test_every_step_of_a_healthy_server_has_a_finding() -> None:
    with running() as server:
        examined = doctor(server.target)
        assert examined.exit_code == 0
        assert {step["outcome"] for step in examined.found["steps"]} == {"ok", "note"}
        assert examined.step("health")["found"] == "SERVING"
        assert "probe.Probe" in examined.step("reflection")["facts"]["services"]
        assert examined.step("call")["facts"]["code"] == "OK"
        assert "Nothing is wrong" in examined.text
        called = [(call["service"], call["method"], call["code"]) for call in server.calls()]
        # For a person and for a script.
        assert [one for one in called if not one[0].startswith("grpc.")] == [
            ("probe.Probe", "Unary", "OK")
        ] * 2


def test_the_json_object_has_these_members(server: Server) -> None:
    found = doctor(server.target).found
    members = ["target", "ok", "failed", "cause", "code", "explanation", "remedies", "steps"]
    assert list(found) == members
    assert all(list(step) == ["name", "outcome", "found", "facts"] for step in found["steps"])
    assert (
        *("name", "addresses", "connection", "tls", "http2"),
        *("health", "reflection", "token", "clock", "call"),
    ) == STEPS


def test_a_unix_socket_is_left_to_grpc(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/s"
    examined = doctor(target)
    assert (examined.cause, examined.exit_code) == ("call-failed", 78)
    assert "No such file" in examined.prose
    with running(listen=target):
        assert doctor(target).exit_code == 0


def test_without_known_services_grpc_itself_is_checked(server: Server) -> None:
    diagnosis = diagnose(Arguments(target=server.target))
    assert diagnosis.error is None
    assert "none was made" in diagnosis.steps[-1].found


# The target, what is wrong with it, and what to type.


@pytest.mark.parametrize(
    ("target", "why", "instead"),
    [
        ("", "the host is missing", "localhost:50051"),
        ("http://localhost:50051", "gRPC accepts no URLs", "localhost:50051"),
        ("https://api.example:443/v1", "gRPC accepts no URLs", "api.example:443 --tls"),
        ("dns://localhost:50051", "must be followed by a name server", "dns:///localhost:50051"),
        ("localhost:50051/probe.Probe/Unary", "a target has no path", "localhost:50051"),
        ("localhost:http", "the port 'http' is not a number", "localhost:50051"),
        ("localhost:99999", "is not a number from 1 to 65535", "localhost:50051"),
        ("::1:50051", "must be in brackets", "[::1]:50051"),
        ("dns:///:50051", "the host is missing", "dns:///localhost:50051"),
    ],
)
def test_a_target_that_grpc_would_misread(target: str, why: str, instead: str) -> None:
    examined = doctor(target)
    assert (examined.cause, examined.exit_code) == ("bad-target", 2)
    assert why in examined.prose
    shown = [command.replace("'", "") for command in examined.commands]
    assert shown == [f"{NAME} doctor {instead}"]


def test_a_target_without_a_port_gets_advice_to_name_one() -> None:
    examined = doctor("localhost")
    assert examined.exit_code == 78
    assert "The target has no port, so gRPC used 443" in examined.prose
    assert f"{NAME} doctor localhost:50051" in examined.commands


LONG = "a" * 64  # longer than a name can be, so that it is unknown without asking anybody


@pytest.mark.parametrize(
    ("host", "forward"),
    [
        (LONG, f"kubectl port-forward svc/{LONG} 50051"),
        (f"{LONG}-headless.shop", f"kubectl -n shop port-forward svc/{LONG} 50051"),
        (f"{LONG}.shop.svc.cluster.local", f"kubectl -n shop port-forward svc/{LONG} 50051"),
    ],
)
def test_a_name_of_a_cluster_service_gets_advice_for_a_port_forward(host: str, forward: str) -> None:
    examined = doctor(f"dns:///{host}:50051")
    assert (examined.cause, examined.exit_code) == ("unknown-name", 78)
    assert "known only inside their cluster" in examined.prose
    assert examined.commands == [forward, f"{NAME} doctor localhost:50051"]


@pytest.mark.parametrize("host", [f"{LONG}.example.org", f"{LONG}.com"])
def test_a_name_that_does_not_exist(host: str) -> None:
    examined = doctor(f"{host}:50051")
    assert examined.cause == "unknown-name"
    assert "Check the spelling" in examined.prose
    assert examined.commands == []


# The connection.


def test_the_advised_command_starts_a_server_where_nothing_listens() -> None:
    port = unused_ports(1)[0]
    examined = doctor(f"127.0.0.1:{port}")
    assert (examined.cause, examined.exit_code) == ("connection-refused", 78)
    assert f"Nothing listens on port {port} of this machine" in examined.prose
    serve, forward = examined.commands
    assert forward == f"kubectl port-forward svc/{NAME} {port}:50051"
    listen, program = serve.split(" ", 1)
    assert program == f"{NAME} serve"
    name, _, value = listen.partition("=")
    with server_process(**{name: value}):
        assert doctor(f"127.0.0.1:{port}").exit_code == 0


def test_the_usual_port_is_checked_before_it_is_advised(server: Server) -> None:
    usual = port_of(server)
    error = diagnose(Arguments(target=f"localhost:{unused_ports(1)[0]}"), DESCRIPTORS, usual_port=usual).error
    assert error is not None
    assert error.remedies[0].when == f"Port {usual} of the same host speaks HTTP/2:"
    assert typed(error.remedies[0].command).exit_code == 0


def test_the_metrics_port_is_recognized(server: Server) -> None:
    port = server.handle.metrics[0].port
    examined = doctor(f"localhost:{port}")
    assert (examined.cause, examined.exit_code) == ("metrics-port", 78)
    assert f"Port {port} is the metrics port" in examined.prose
    assert "gRPC usually listens on 50051" in examined.prose
    assert examined.commands == [f"{NAME} doctor localhost:50051"]
    assert doctor(f"localhost:{port}", "--tls").cause == "metrics-port"
    usual = port_of(server)
    error = diagnose(Arguments(target=f"localhost:{port}"), DESCRIPTORS, usual_port=usual).error
    assert error is not None
    assert typed(error.remedies[0].command).exit_code == 0


def test_a_web_server_is_recognized() -> None:
    with web() as found:
        examined = doctor(found.url.removeprefix("http://").partition("/")[0])
    assert (examined.cause, examined.exit_code) == ("not-http2", 78)
    assert "HTTP/1, not HTTP/2" in examined.prose
    assert "nginx needs grpc_pass" in examined.prose


def test_a_port_forward_without_its_pod_closes_at_once() -> None:
    with listener(lambda _: None) as port:
        examined = doctor(f"localhost:{port}")
    assert (examined.cause, examined.exit_code) == ("closed-at-once", 78)
    assert "A port-forward does that when its pod is gone" in examined.prose
    assert examined.commands == ["kubectl get pods", f"kubectl port-forward svc/{NAME} {port}:50051"]


def test_a_server_that_accepts_only_one_connection_closes_at_once(request: pytest.FixtureRequest) -> None:
    accepting = socket.create_server(("127.0.0.1", 0))
    request.addfinalizer(accepting.close)

    def once() -> None:
        connection, _ = accepting.accept()
        accepting.shutdown(socket.SHUT_RDWR)
        connection.close()

    thread = threading.Thread(target=once)
    thread.start()
    error = diagnose(Arguments(target=f"127.0.0.1:{accepting.getsockname()[1]}")).error
    thread.join(5)
    assert error is not None
    assert error.cause == "closed-at-once"


def test_a_server_that_never_answers_does_not_exceed_the_timeout() -> None:
    ended = threading.Event()
    with listener(lambda _: ended.wait(20)) as port:
        begun = time.monotonic()
        examined = doctor(f"localhost:{port}", "--timeout", "1")
        took = (time.monotonic() - begun) / 2  # it ran twice
        ended.set()
    assert (examined.cause, examined.exit_code) == ("silent", 68)
    assert "nothing is received, neither in plaintext nor over TLS" in examined.prose
    assert f"{NAME} doctor localhost:{port} --timeout 3" in examined.commands
    assert took < 2


def test_an_operation_gets_at_most_a_third_of_the_timeout_and_what_is_left() -> None:
    def left(until_end: float) -> float:
        end = time.monotonic() + until_end
        return Facts(arguments=Arguments(target="", timeout=9), deadline=end).seconds()

    assert left(9) == pytest.approx(3, abs=0.5)
    assert left(2) == pytest.approx(2, abs=0.5)


def test_only_unary_methods_marked_as_safe_are_called() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    file.message_type.add(name="Nothing")
    service = file.service.add(name="Shop")
    for name, safe, streams in (("Buy", False, False), ("Watch", True, True), ("Price", True, False)):
        method = service.method.add(name=name, input_type=".shop.Nothing", output_type=".shop.Nothing")
        method.server_streaming = streams
        if safe:
            method.options.idempotency_level = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    shop = pool.FindServiceByName("shop.Shop")
    assert [method.name for method in safe_methods([shop], None)] == ["Price"]
    assert safe_methods([shop], ["another.Service"]) == []
    assert next(method.full_name for method in safe_methods(DESCRIPTORS, None)) == "probe.Probe.Unary"


def test_a_server_that_only_begins_http2_does_not_exceed_the_timeout() -> None:
    settings = b"\0\0\0\4\0\0\0\0\0"
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(settings)
        ended.wait(20)

    with listener(serve) as port:
        begun = time.monotonic()
        examined = doctor(f"localhost:{port}", "--timeout", "1")
        took = (time.monotonic() - begun) / 2
        ended.set()
    assert (examined.cause, examined.exit_code) == ("timeout", 68)
    assert examined.found["failed"] == "health"
    assert took < 3


def test_an_address_that_drops_packets_is_unreachable(request: pytest.FixtureRequest) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # more than the system keeps for a listener that accepts nobody
            waiting = socket.socket()
            request.addfinalizer(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        examined = doctor(f"127.0.0.1:{full.getsockname()[1]}", "--timeout", "0.6")
    assert (examined.cause, examined.exit_code) == ("unreachable", 78)
    assert "Nothing answers at 127.0.0.1" in examined.prose
    assert "NetworkPolicy" in examined.prose


def test_a_dead_address_among_live_ones_is_reported(server: Server) -> None:
    facts = Facts(
        arguments=Arguments(target=server.target),
        deadline=time.monotonic() + 10,
        host="localhost",
        port=port_of(server),
        addresses=["127.0.0.9", "127.0.0.1"],  # the server listens only on the second
    )
    finding = connection(facts)
    assert finding.note
    assert finding.text.endswith("ms; 127.0.0.9: refused")
    assert finding.facts is not None
    assert finding.facts.addresses == ["127.0.0.1"]


# A proxy in between.


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_of_the_environment_that_rejects_connections(server: Server, name: str) -> None:
    target = f"{ELSEWHERE}:{port_of(server)}"
    with listener(says(b"HTTP/1.1 403 Forbidden\r\nServer: squid\r\n\r\n")) as port:
        variables = {name: f"http://user:secret@127.0.0.1:{port}"}
        examined = doctor(target, **variables)
        assert (examined.cause, examined.exit_code) == ("proxy", 78)
        assert f"{name} is set, so gRPC connects through the proxy 127.0.0.1:{port}" in examined.prose
        assert "secret" not in examined.text
        [command] = examined.commands
        assert command == f"no_proxy={ELSEWHERE} {NAME} doctor {target}"
        assert typed(command, **variables).exit_code == 0


def test_a_missing_proxy_and_existing_exceptions(server: Server) -> None:
    target = f"{ELSEWHERE}:{port_of(server)}"
    variables = {"https_proxy": f"http://127.0.0.1:{unused_ports(1)[0]}", "no_grpc_proxy": "a.example"}
    examined = doctor(target, **variables)
    assert examined.cause == "proxy"
    assert examined.commands == [f"no_grpc_proxy=a.example,{ELSEWHERE} {NAME} doctor {target}"]
    assert typed(examined.commands[0], **variables).exit_code == 0


def test_a_proxy_that_forwards_calls_is_no_error(server: Server) -> None:
    with listener(_tunnel) as port:
        examined = doctor(f"{ELSEWHERE}:{port_of(server)}", http_proxy=f"http://127.0.0.1:{port}")
    assert examined.exit_code == 0, examined.text
    assert f"left to the proxy 127.0.0.1:{port}" in examined.step("addresses")["found"]


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({"http_proxy": "{}"}, True),
        ({"HTTP_PROXY": "{}"}, False),
        ({"http_proxy": ""}, False),
        ({"https_proxy": "", "http_proxy": "{}"}, False),
        ({"http_proxy": "{}", "no_proxy": ELSEWHERE}, False),
        ({"http_proxy": "{}", "no_proxy": "a.example, .0.0"}, False),
        ({"http_proxy": "{}", "no_proxy": "0.0.0.0/8"}, False),
        ({"http_proxy": "{}", "no_proxy": "*"}, True),
        ({"http_proxy": "{}", "no_grpc_proxy": "a.example", "no_proxy": ELSEWHERE}, True),
        ({"http_proxy": "socks5://127.0.0.1:1"}, False),
    ],
)
def test_the_proxy_is_the_one_that_grpc_uses(
    server: Server, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], asked: bool
) -> None:
    connections: list[socket.socket] = []
    with listener(connections.append) as port:
        given = {name: value.format(f"http://127.0.0.1:{port}") for name, value in variables.items()}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with grpc.insecure_channel(f"{ELSEWHERE}:{port_of(server)}") as channel:
            call: Any = channel.unary_unary("/no.Such/Method")
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", timeout=5)
            reached = code(caught.value) is grpc.StatusCode.UNIMPLEMENTED
    assert bool(connections) is asked is not reached
    assert (proxy_for(ELSEWHERE, given) is not None) is asked


def _tunnel(connection: socket.socket) -> None:
    """Serves CONNECT."""
    head = connection.recv(65536)
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    with socket.create_connection((host, int(port))) as server:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pump, args=(server, connection))
        back.start()
        _pump(connection, server)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


@pytest.mark.parametrize("status", [b"502", b"404", b"200"])
def test_http2_that_is_not_grpc(status: bytes) -> None:
    with listener(answers(status)) as port:
        examined = doctor(f"localhost:{port}")
    assert (examined.cause, examined.found["failed"]) == ("not-grpc", "health")
    assert f"speaks HTTP/2 but not gRPC (HTTP {status.decode()})" in examined.prose


def answers(status: bytes) -> Callable[[socket.socket], None]:
    """Serves HTTP/2, and that status to each call."""

    def serve(connection: socket.socket) -> None:
        frames, encoder = Frames(), Encoder()
        connection.sendall(SettingsFrame(0).serialize() + SettingsFrame(0, flags=["ACK"]).serialize())
        while data := connection.recv(65536):
            for frame in frames.split(data):
                if isinstance(frame, HeadersFrame):
                    block = encoder.encode([(b":status", status), (b"content-type", b"text/html")])
                    flags = ["END_HEADERS", "END_STREAM"]
                    connection.sendall(HeadersFrame(frame.stream_id, block, flags=flags).serialize())

    return serve


# The server.


@contextmanager
def bare(servicer: health.HealthServicer | None) -> Iterator[str]:
    """A server with health alone, or with nothing."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    if servicer is not None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()


class CountingHealth(health.HealthServicer):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def Check(self, *given: Any) -> Any:
        self.calls += 1
        return super().Check(*given)


def test_the_advised_command_waits_until_the_server_is_ready() -> None:
    servicer = CountingHealth()
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    with bare(servicer) as target:
        examined = doctor(target)
        assert (examined.cause, examined.exit_code) == ("not-serving", 1)
        assert "answers that it is not ready" in examined.prose
        _, wait = examined.commands
        done: list[int] = []
        waiting = threading.Thread(target=lambda: done.append(in_shell(wait).returncode))
        waiting.start()
        seen = servicer.calls
        until(lambda: servicer.calls > seen, 20)
        assert not done
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        waiting.join(20)
    assert done == [0]


def test_a_server_without_health_and_reflection_is_no_failure() -> None:
    with bare(None) as target:
        examined = doctor(target)
    assert examined.exit_code == 0
    assert "no health service" in examined.step("health")["found"]
    assert examined.step("reflection")["facts"] == {"on": False}
    assert "none was made" in examined.step("call")["found"]


def test_reflection_that_is_off_is_no_failure() -> None:
    with running(reflection=False) as server:
        examined = doctor(server.target)
    assert examined.exit_code == 0
    assert examined.step("reflection")["outcome"] == "note"
    assert examined.step("call")["facts"]["method"] == "probe.Probe/Unary"


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (grpc.StatusCode.INTERNAL, 77, "The call reached the server and failed there"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 72, "ResourceExhausted: the words of the server"),
        (grpc.StatusCode.UNAVAILABLE, 78, "Unavailable: the words of the server"),
    ],
)
def test_a_call_that_fails_on_the_server(code: grpc.StatusCode, exit_code: int, words: str) -> None:
    def fails(_request: object, context: grpc.ServicerContext) -> None:
        context.abort(code, "the words of the server")

    with probe_server() as at:
        at.probe.on_call = fails
        examined = doctor(at.server.target)
    assert (examined.cause, examined.exit_code) == ("call-failed", exit_code)
    assert examined.found["failed"] == "call"
    assert words in examined.prose


def test_a_rejected_empty_request_counts_as_success() -> None:
    def refuses(_request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "author: missing")

    with probe_server() as at:
        at.probe.on_call = refuses
        examined = doctor(at.server.target)
    assert examined.exit_code == 0
    assert examined.step("call")["found"] == "probe.Probe/Unary answered InvalidArgument to an empty request"
