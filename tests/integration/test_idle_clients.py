"""Clients that keep a stream open and send nothing, or do not read what they are sent."""

import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.network.http2 import Connection, connected
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

Status = grpc.StatusCode
CHECK, UNARY = b"/grpc.health.v1.Health/Check", b"/probe.Probe/Unary"


def sending(*pauses: float) -> Iterator[pb.ProbeRequest]:
    """A message after each pause."""
    for pause in pauses:
        yield pb.ProbeRequest()
        time.sleep(pause)


@pytest.mark.parametrize("method", ["ClientStream", "BidiStream"])
def test_a_stream_on_which_nothing_is_sent_ends_after_the_idle_time(method: str) -> None:
    with probe_server(stream_idle_time=0.4) as at:
        began = time.monotonic()
        call = getattr(at.stub, method)
        found = outcome(lambda: list(result(call(sending(0.1, 3), timeout=10))))
        assert found is Status.CANCELLED
        assert 0.4 <= time.monotonic() - began < 2.5
        until(lambda: at.server.spans)  # the client knows before the handler does
        assert at.seen() == [(method, "Canceled")]


def result(reply: Any) -> Any:
    return reply if hasattr(reply, "__iter__") else [reply]


@pytest.mark.parametrize("method", ["ClientStream", "BidiStream"])
def test_a_stream_that_is_used_lasts_longer_than_the_idle_time(method: str) -> None:
    with probe_server(stream_idle_time=0.4) as at:
        call = getattr(at.stub, method)
        assert outcome(lambda: list(result(call(sending(*[0.2] * 5), timeout=10)))) is Status.OK


def test_a_handler_that_works_is_not_idle() -> None:
    with probe_server(stream_idle_time=0.2) as at:
        at.probe.on_call = lambda _request, _context: time.sleep(0.8)
        assert len(list(at.stub.ServerStream(pb.ProbeRequest(), timeout=10))) == 2
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert next(watch).status == 1
        time.sleep(0.8)
        assert watch.is_active()
        watch.cancel()


def unread(connection: Connection, path: bytes, streams: range) -> None:
    """Calls whose replies are not read: the client's window is 0."""
    connection.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}))
    for stream in streams:
        connection.open_stream(stream, path)
        connection.send(DataFrame(stream, struct.pack(">BI", 0, 0), flags=["END_STREAM"]))


def in_flight(at: ProbeServer, method: str) -> float:
    return at.server.total("grpc_server_in_flight", grpc_method=method)


@pytest.mark.parametrize(("path", "method"), [(CHECK, "Check"), (UNARY, "Unary")])
def test_a_call_is_in_flight_until_its_reply_has_been_sent(path: bytes, method: str) -> None:
    with probe_server() as at, connected(at.server.target) as connection:
        unread(connection, path, range(1, 21, 2))
        until(lambda: in_flight(at, method) == 10)
        until(lambda: at.server.total("grpc_server_handled_total", grpc_method=method) == 10)
        time.sleep(0.2)
        assert in_flight(at, method) == 10
        connection.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 65_535}))
        until(lambda: in_flight(at, method) == 0)


def test_calls_whose_replies_are_not_read_have_a_bound() -> None:
    with probe_server(max_checks=64) as at, connected(at.server.target) as connection:
        unread(connection, CHECK, range(1, 401, 2))
        until(lambda: at.server.total("grpc_server_handled_total", grpc_method="Check") == 200)
        refused = at.server.total("grpc_server_refused_total", reason="limit", grpc_method="Check")
        until(lambda: in_flight(at, "Check") == 200 - refused)
        assert 64 <= 200 - refused <= 2 * 64  # so many at work, and so many again that are not sent


def test_a_reply_that_is_not_read_in_time_is_given_up() -> None:
    with probe_server(reply_timeout=0.5) as at, connected(at.server.target) as connection:
        unread(connection, CHECK, range(1, 7, 2))
        assert len(connection.frames(HeadersFrame, 0.3)) == 3
        until(lambda: in_flight(at, "Check") == 0)
        connection.wait_for(RstStreamFrame)
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=2).status == 1


def test_a_slow_handler_does_not_make_a_reply_late() -> None:
    with probe_server(reply_timeout=0.3) as at:
        release = threading.Event()
        at.probe.on_call = lambda _request, _context: release.wait(1)
        assert at.stub.Unary(pb.ProbeRequest(), timeout=5).text == "reply"
