"""How many connections the server holds, and how long it keeps those without calls."""

import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import grpc
import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame

from app.runtime.connections import connection_limit
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.network import http2
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import server_process
from tests.support.waiting import until


def accepted(target: str, until_closed: ExitStack) -> bool:
    """Opens a connection, and returns whether the server keeps it: it sends its settings then."""
    try:
        until_closed.enter_context(http2.connected(target)).wait_for(SettingsFrame)
    except (EOFError, ConnectionError):  # closed before or after the preface
        return False
    return True


def test_connections_over_the_limit_are_closed_and_the_others_are_served() -> None:
    with probe_server(max_connections=4) as at, ExitStack() as until_closed:
        assert outcome(lambda: at.stub.Unary(pb.ProbeRequest())) is grpc.StatusCode.OK
        with ExitStack() as first:
            assert accepted(at.server.target, first)
            assert sum(accepted(at.server.target, until_closed) for _ in range(5)) == 2
            assert outcome(lambda: at.stub.Unary(pb.ProbeRequest())) is grpc.StatusCode.OK
        until(lambda: accepted(at.server.target, until_closed))  # in place of the first


def test_the_limit_is_divided_among_the_addresses() -> None:
    with (
        probe_server(listen="127.0.0.1:0,127.0.0.2:0", max_connections=4) as at,
        ExitStack() as until_closed,
    ):
        for address in at.server.handle.addresses:
            assert sum(accepted(str(address), until_closed) for _ in range(4)) == 2


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """This process may open 400 more or less: enough for what it has open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    yield 400
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_at_most_three_quarters_of_the_file_descriptors(few_descriptors: int) -> None:
    assert connection_limit(10) == 10
    assert connection_limit(2000) == 3 * few_descriptors // 4


FEW_DESCRIPTORS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from tests.support.servers.program import add_probe
add_probe()
from app.__main__ import main
main()
"""


def test_the_metrics_port_and_the_drain_work_although_a_client_opens_more_connections_than_descriptors() -> (
    None
):
    with server_process(("-c", FEW_DESCRIPTORS, "serve")) as server, ExitStack() as until_closed:
        host, _, port = server.target.rpartition(":")
        for _ in range(400):
            with suppress(ConnectionError):
                one = socket.create_connection((host, int(port)), timeout=5)
                until_closed.enter_context(one)
                one.sendall(http2.PREFACE + SettingsFrame(0).serialize())
        ready = server.serving["metrics"][0].replace("/metrics", "/readyz")
        for _ in range(20):
            with urllib.request.urlopen(ready, timeout=2) as answer:  # noqa: S310 - loopback
                assert answer.status == 200
        assert "max_connections_lowered" in server.events()
        assert server.end() == 0


def test_a_connection_without_calls_is_closed_and_one_with_a_call_is_not() -> None:
    with (
        probe_server(max_connection_idle=0.5) as at,
        http2.connected(at.server.target) as idle,
        http2.connected(at.server.target) as calling,
    ):
        calling.open_stream(1, b"/probe.Probe/BidiStream")
        began = time.monotonic()
        assert idle.wait_for(GoAwayFrame).additional_data == b"connection idle"
        idle.wait_for_end()
        assert time.monotonic() - began > 0.4
        assert calling.frames(GoAwayFrame, 0.5) == []


def test_a_client_whose_idle_connection_was_closed_opens_another_one() -> None:
    with probe_server(max_connection_idle=0.1) as at:
        for _ in range(5):
            assert outcome(lambda: at.stub.Unary(pb.ProbeRequest(), timeout=5)) is grpc.StatusCode.OK
            time.sleep(0.4)  # a call in the moment when grpc closes the connection may be UNAVAILABLE


def test_compressed_requests_can_be_refused() -> None:
    with probe_server(compression=False) as at:
        text = pb.ProbeRequest(text="a" * 1000)
        assert outcome(lambda: at.stub.Unary(text)) is grpc.StatusCode.OK
        refused = outcome(lambda: at.stub.Unary(text, compression=grpc.Compression.Gzip))
        assert refused is grpc.StatusCode.UNIMPLEMENTED
        until(lambda: len(at.server.calls()) == 2)
        assert at.seen() == [("Unary", "Canceled"), ("Unary", "OK")]
