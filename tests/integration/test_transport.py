"""The limits of sizes, of calls on a connection and of pings, and what a client sees beyond each."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from hyperframe.frame import GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame

from app.runtime.server_settings import ServerSettings
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import code, outcome
from tests.support.network import http2
from tests.support.servers.probe import CALLS, Probe
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.process import server_process
from tests.support.waiting import until

Status = grpc.StatusCode
each_method = pytest.mark.parametrize("method", CALLS)

REFUSED_STREAM = 7  # RFC 9113, section 7
KIB = 1024
LIMIT = 64 * KIB
MARGIN = LIMIT // 16  # above the limit, within which the server refuses a message before grpc does
# A field of so many bytes makes a message of so many more: its tag, and its length in three.
FRAME = 4


def sent(stub: Any, method: str, size: int, **how: Any) -> Any:
    """Calls the method with a request message of so many bytes."""
    author = "a" * (size - FRAME)
    call: dict[str, Callable[[], Any]] = {
        "Unary": lambda: stub.Unary(pb.ProbeRequest(text=author), **how),
        "ServerStream": lambda: list(stub.ServerStream(pb.ProbeRequest(text=author), **how)),
        "ClientStream": lambda: stub.ClientStream(iter([pb.ProbeRequest(text=author)]), **how),
        "BidiStream": lambda: list(stub.BidiStream(iter([pb.ProbeRequest(text=author)]), **how)),
    }
    return call[method]()


class Long(Probe):
    """Every reply has so many bytes; the first one of a stream is short."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._quote = "q" * (size - FRAME)

    def Unary(self, request: Any, context: Any) -> pb.ProbeReply:  # noqa: ARG002
        return pb.ProbeReply(text=self._quote)

    def ClientStream(self, request_iterator: Any, context: Any) -> Any:
        self.on_call(request_iterator, context)
        return pb.ProbeReply(text=self._quote)  # the method's own reply has no text

    def ServerStream(self, request: Any, context: Any) -> Iterator[pb.ProbeReply]:  # noqa: ARG002
        yield pb.ProbeReply(text="q")
        yield pb.ProbeReply(text=self._quote)

    def BidiStream(self, request_iterator: Any, context: Any) -> Iterator[pb.ProbeReply]:
        self.on_call(request_iterator, context)
        yield pb.ProbeReply(text="q")
        yield pb.ProbeReply(text=self._quote)


@each_method
def test_a_request_over_the_limit_is_refused_and_one_of_just_its_size_is_not(method: str) -> None:
    with probe_server(max_message_bytes=LIMIT) as at:
        assert outcome(lambda: sent(at.stub, method, LIMIT)) is Status.OK
        for size in (LIMIT + 1, LIMIT + MARGIN):
            with pytest.raises(grpc.RpcError) as caught:
                sent(at.stub, method, size)
            assert code(caught.value) is Status.RESOURCE_EXHAUSTED
            assert caught.value.details() == f"request message too large: {size} bytes (limit {LIMIT})"
        assert at.seen() == [(method, "OK")] + [(method, "ResourceExhausted")] * 2
        assert at.server.total("grpc_server_msg_received_total", grpc_method=method) == 1
        assert at.server.total("grpc_server_refused_total", grpc_method=method, reason="message_size") == 2


@each_method
def test_a_reply_over_the_limit_is_refused_and_one_of_just_its_size_is_not(method: str) -> None:
    with probe_server(Long(LIMIT), max_message_bytes=LIMIT) as at:
        assert outcome(lambda: CALLS[method](at.stub)) is Status.OK
    with probe_server(Long(LIMIT + 1), max_message_bytes=LIMIT) as at:
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub)
        assert code(caught.value) is Status.RESOURCE_EXHAUSTED
        assert caught.value.details() == (f"response message too large: {LIMIT + 1} bytes (limit {LIMIT})")
        assert at.seen() == [(method, "ResourceExhausted")]
        streamed = method in {"ServerStream", "BidiStream"}
        assert at.server.total("grpc_server_msg_sent_total", grpc_method=method) == (1 if streamed else 0)


def test_a_message_over_the_limit_ends_a_stream_that_had_good_ones_before() -> None:
    with probe_server(max_message_bytes=LIMIT) as at:
        requests = [pb.ProbeRequest(text="a"), pb.ProbeRequest(text="a" * LIMIT)]
        assert outcome(lambda: at.stub.ClientStream(iter(requests))) is Status.RESOURCE_EXHAUSTED
        assert at.seen() == [("ClientStream", "ResourceExhausted")]
        assert at.server.total("grpc_server_msg_received_total", grpc_method="ClientStream") == 1


@each_method
def test_grpc_rejects_messages_over_the_limit_and_a_margin_and_the_server_records_a_cancel(
    method: str,
) -> None:
    with probe_server(max_message_bytes=LIMIT) as at:
        assert outcome(lambda: sent(at.stub, method, LIMIT + MARGIN + 1)) is Status.RESOURCE_EXHAUSTED
        until(at.server.calls)
        assert at.seen() == [(method, "Canceled")]
        assert at.server.total("grpc_server_msg_received_total", grpc_method=method) == 0


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@each_method
def test_a_compressed_message_is_limited_by_its_decompressed_size(
    method: str, compression: grpc.Compression
) -> None:
    with probe_server(max_message_bytes=LIMIT) as at:
        assert outcome(lambda: sent(at.stub, method, LIMIT, compression=compression)) is Status.OK
        for size in (LIMIT + MARGIN, LIMIT + MARGIN + 1, 500 * LIMIT):  # 32 MiB are 32 KiB on the wire
            refused = outcome(lambda: sent(at.stub, method, size, compression=compression))  # noqa: B023
            assert refused is Status.RESOURCE_EXHAUSTED
        until(lambda: len(at.server.calls()) == 4)
        assert at.seen() == [
            *[(method, "Canceled")] * 2,
            (method, "OK"),
            (method, "ResourceExhausted"),
        ]


def with_metadata(at: ProbeServer, method: str, size: int) -> list[Status]:
    """What ten clients at a time see of calls with a value of so many bytes in their metadata."""
    call = partial(CALLS[method], at.stub, metadata=[("x-long", "v" * size)])
    with ThreadPoolExecutor(10) as clients:
        return [one.result() for one in [clients.submit(outcome, call) for _ in range(10)]]


@each_method
def test_metadata_over_the_limit_is_refused_before_a_handler_runs(method: str) -> None:
    ran: list[Any] = []
    with probe_server(max_metadata_bytes=12 * KIB) as at:
        at.probe.on_call = lambda _request, _context: ran.append(True)
        assert with_metadata(at, method, 11 * KIB) == [Status.OK] * 10
        assert len(ran) == 10
        for size in (12 * KIB, 40 * KIB):
            assert with_metadata(at, method, size) == [Status.RESOURCE_EXHAUSTED] * 10
        assert len(ran) == 10
        assert at.seen() == [(method, "OK")] * 10 + [(method, "ResourceExhausted")] * 20
        assert at.server.total("grpc_server_refused_total", grpc_method=method, reason="metadata_size") == 20


@each_method
def test_grpc_itself_refuses_metadata_over_four_times_the_limit_and_the_server_sees_a_cancel(
    method: str,
) -> None:
    """The handler of a client's stream does run, until it reads: grpc cancels such a call a moment later."""
    with probe_server(max_metadata_bytes=12 * KIB) as at:
        for size in (48 * KIB, 400 * KIB):  # the second one alone is over it without the keys
            assert with_metadata(at, method, size) == [Status.RESOURCE_EXHAUSTED] * 10
        until(lambda: len(at.server.calls()) == 20)
        assert at.seen() == [(method, "Canceled")] * 20


def test_clients_receive_the_limits_of_a_connection() -> None:
    with (
        probe_server(max_connection_calls=4, max_metadata_bytes=12 * KIB) as at,
        http2.connected(at.server.target) as connection,
    ):
        told = settings_of(connection)
        assert told[SettingsFrame.MAX_CONCURRENT_STREAMS] == 8
        assert told[SettingsFrame.MAX_HEADER_LIST_SIZE] == 4 * 12 * KIB


def settings_of(connection: http2.Connection) -> dict[int, int]:
    return connection.wait_for(SettingsFrame).settings


@pytest.fixture
def held() -> Iterator[tuple[ProbeServer, threading.Event]]:
    """A server that takes two calls on a connection, and whose handlers wait for the event."""
    with probe_server(max_connection_calls=2, reset_protection=False) as at:
        release = threading.Event()
        at.probe.on_call = lambda _request, _context: release.wait(20)
        yield at, release
        release.set()


def started(at: ProbeServer) -> float:
    return at.server.total("grpc_server_started_total", grpc_service="probe.Probe")


def test_calls_over_the_limit_of_a_connection_wait_in_the_client_and_do_not_fail(
    held: tuple[ProbeServer, threading.Event],
) -> None:
    at, release = held
    calls = [at.stub.Unary.future(pb.ProbeRequest(), timeout=20) for _ in range(100)]
    until(lambda: started(at) == 2)
    elsewhere = grpc.insecure_channel(at.server.target, options=[("grpc.use_local_subchannel_pool", 1)])
    with elsewhere:
        health: Any = elsewhere.unary_unary("/grpc.health.v1.Health/Check")
        health(b"", timeout=5)  # another connection is not held back
    assert started(at) == 2
    release.set()
    assert [call.result(timeout=5).text for call in calls] == ["reply"] * 100


class InFlight:
    """Calls a method in a loop, on one connection, with so many calls in flight."""

    def __init__(self, stub: Any, in_flight: int, calls: int) -> None:
        self.codes: Counter[Status] = Counter()
        self._stub = stub
        self._places = threading.Semaphore(in_flight)
        for _ in range(calls):
            self._places.acquire()
            self._stub.Unary.future(pb.ProbeRequest(), timeout=20).add_done_callback(self._done)
        for _ in range(in_flight):
            self._places.acquire()

    def _done(self, call: Any) -> None:
        self.codes[call.code()] += 1
        self._places.release()


def test_calls_over_the_limit_of_a_connection_may_be_refused_but_only_unprocessed() -> None:
    with probe_server(max_connection_calls=10, max_calls=100) as at:
        codes = InFlight(at.stub, 60, 1000).codes
        assert set(codes) == {Status.OK, Status.UNAVAILABLE}
        until(lambda: len(at.server.calls()) == codes[Status.OK])
        assert at.seen() == [("Unary", "OK")] * codes[Status.OK]


@pytest.mark.alone
def test_no_call_is_refused_up_to_the_limit_of_a_connection() -> None:
    in_flight = ServerSettings().max_connection_calls
    with server_process() as server, grpc.insecure_channel(server.target) as channel:
        codes = InFlight(probe_pb2_grpc.ProbeStub(channel), in_flight, 4000).codes
        assert set(codes) <= {Status.OK, Status.RESOURCE_EXHAUSTED}  # the latter beyond APP_MAX_CALLS
        assert codes[Status.OK] > 1000


@pytest.mark.parametrize("protected", [True, False])
def test_streams_that_a_client_has_reset_count_against_the_limit_of_a_connection(protected: bool) -> None:
    with (
        probe_server(max_connection_calls=5, reset_protection=protected) as at,
        http2.connected(at.server.target) as connection,
    ):
        settings_of(connection)
        connection.send(SettingsFrame(0, flags=["ACK"]))
        connection.open_and_reset(range(1, 1000, 2), b"/probe.Probe/Unary")
        connection.ping()
        refused = [one for one in connection.frames(RstStreamFrame, 1) if one.error_code == REFUSED_STREAM]
        assert bool(refused) is protected


def test_an_excess_stream_is_rejected_unprocessed(
    held: tuple[ProbeServer, threading.Event],
) -> None:
    at, _ = held
    with http2.connected(at.server.target) as connection:
        settings_of(connection)
        connection.send(SettingsFrame(0, flags=["ACK"]))
        for stream in (1, 3, 5):
            connection.open_stream(stream, b"/probe.Probe/BidiStream")
        refused = connection.wait_for(RstStreamFrame)
        assert (refused.stream_id, refused.error_code) == (5, REFUSED_STREAM)
        until(lambda: started(at) == 2)


def test_a_silent_connection_is_pinged_and_kept_while_its_client_answers() -> None:
    with (
        probe_server(keepalive_time=0.2, keepalive_timeout=0.4) as at,
        http2.connected(at.server.target) as connection,
    ):
        for _ in range(5):
            ping = connection.wait_for(PingFrame)
            assert "ACK" not in ping.flags
            connection.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))


def test_a_client_that_does_not_answer_a_ping_loses_its_connection_and_frees_its_threads() -> None:
    with (
        probe_server(keepalive_time=0.2, keepalive_timeout=0.3) as at,
        http2.connected(at.server.target) as connection,
    ):
        connection.open_stream(1, b"/probe.Probe/BidiStream")
        began = time.monotonic()
        connection.wait_for(PingFrame)
        connection.wait_for_end()
        assert 0.4 < time.monotonic() - began < 3
        until(at.server.calls)
        assert at.seen() == [("BidiStream", "Canceled")]


def test_a_client_that_connects_and_is_silent_does_not_keep_its_place() -> None:
    with probe_server(keepalive_timeout=0.3) as at:
        host, _, port = at.server.target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as silent:
            until(lambda: silent.recv(100) == b"")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_the_kernel_gives_a_host_that_is_gone_as_long_as_a_ping() -> None:
    with probe_server(keepalive_timeout=4.321) as at, http2.connected(at.server.target) as connection:
        settings_of(connection)
        port = int(at.server.target.rpartition(":")[2])
        assert [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for one in accepted(port)] == [
            4321
        ]


def accepted(port: int) -> Iterator[socket.socket]:
    """This process's own ends of the connections that it has accepted at the port."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as one:
            if one.family != socket.AF_UNIX and one.getsockname()[1] == port and one.getpeername():
                yield one


@pytest.mark.parametrize("call", ["with a call", "without"])
def test_a_client_that_pings_too_often_gets_goaway_and_one_within_the_limit_does_not(call: str) -> None:
    with probe_server(permit_keepalive_time=0.1) as at:
        for interval, cut_off in ((0.01, True), (0.2, False)):
            with http2.connected(at.server.target) as connection:
                settings_of(connection)
                if call == "with a call":
                    connection.open_stream(1, b"/probe.Probe/BidiStream")
                goodbyes: list[GoAwayFrame] = []
                for _ in range(30 if cut_off else 6):
                    connection.ping()
                    goodbyes += connection.frames(GoAwayFrame, interval)
                    if goodbyes:
                        break
                assert [frame.additional_data for frame in goodbyes] == [b"too_many_pings"] * cut_off


def test_common_clients_keepalives_are_permitted_by_default() -> None:
    """10 s is the least that Go's and Java's clients can be set to. All is fifty times as fast here."""
    least = 10 / 50
    with (
        probe_server(permit_keepalive_time=ServerSettings().permit_keepalive_time / 50) as at,
        http2.connected(at.server.target) as connection,
    ):
        settings_of(connection)
        for _ in range(8):
            connection.ping()
            assert connection.frames(GoAwayFrame, least) == []


def test_a_connection_at_its_maximum_age_gets_goaway_and_its_call_finishes() -> None:
    with probe_server(max_connection_age=0.3) as at:
        at.probe.on_call = lambda _request, _context: time.sleep(1)
        with http2.connected(at.server.target) as connection:
            assert connection.wait_for(GoAwayFrame).additional_data == b"max_age"
        assert outcome(lambda: CALLS["BidiStream"](at.stub)) is Status.OK
