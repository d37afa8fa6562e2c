"""A channel's connections: keepalive pings, TCP_USER_TIMEOUT, proxies, and the channel for asyncio."""

import asyncio
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from hyperframe.frame import GoAwayFrame, PingFrame

from app.client.channel import aio_channel
from app.client.channel import channel as open_channel
from app.client.options import Keepalive, Options, options
from app.client.retries import RetryPolicy
from app.client.service_config import MethodConfig, ServiceConfig
from app.runtime import transport
from app.runtime.server_settings import ServerSettings
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.network.http2 import Frames
from tests.support.network.proxy import Proxy
from tests.support.servers.backends import Backend, backends, echo, failing, target_of
from tests.support.waiting import until

Status = grpc.StatusCode
PROBE = pb.DESCRIPTOR.services_by_name["Probe"]


# grpc's client pings once a second at most: so much faster is what it does every 30 s.
FASTER = 30


def faster(found: Options) -> dict[str, str | int]:
    return {
        name: value // FASTER if name.endswith("_ms") and isinstance(value, int) else value
        for name, value in found
    }


class Wire(Proxy):
    """What goes over a connection: the client's pings, and what the server says goodbye with."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.pings = 0
        self.goodbyes: list[bytes] = []
        self.broken = threading.Event()  # nothing comes through any more, and neither side hears of it
        self._directions: defaultdict[socket.socket, Frames] = defaultdict(Frames)

    @property
    def connections(self) -> int:
        return len(self._sockets) // 2

    def forward(self, data: bytes, other: socket.socket) -> None:
        if self.broken.is_set():
            return
        for frame in self._directions[other].split(data):
            if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
                self.pings += other in self._sockets[1::2]
            if isinstance(frame, GoAwayFrame):
                self.goodbyes.append(frame.additional_data)
        super().forward(data, other)


@contextmanager
def wired(**server_options: int) -> Iterator[tuple[Wire, Callable[..., Any]]]:
    """A server and a client with their default options, only faster, and the wire between them.

    Yields a call that the server holds after its first reply.
    """
    release = threading.Event()

    def hold(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        del requests, context
        yield b""
        release.wait(20)

    told = faster([*transport.options(ServerSettings())]) | server_options
    del told["grpc.keepalive_time_ms"]  # the server's own pings would come first
    server = Backend(hold, options=[*told.items()])
    try:
        with Wire(server.address) as wire:
            found = faster(options(wire.target, (), ServiceConfig(), Keepalive()))
            with grpc.insecure_channel(wire.target, options=[*found.items()]) as channel:
                yield wire, channel.unary_stream("/a.B/Held")
    finally:
        release.set()
        server.stop()


def test_the_server_permits_the_clients_pings_with_and_without_calls() -> None:
    with wired() as (busy, call), wired() as (idle, other):
        stream, left = call(b"", timeout=20), other(b"", timeout=20)
        next(stream), next(left)
        left.cancel()
        until(lambda: min(busy.pings, idle.pings) >= 4, seconds=20)
        assert busy.goodbyes == idle.goodbyes == []
        assert stream.is_active()


def test_a_server_that_does_not_permit_pings_closes_the_connection() -> None:
    with wired(**{"grpc.http2.min_ping_interval_without_data_ms": 5000}) as (wire, call):
        stream = call(b"", timeout=20)
        next(stream)
        assert until(lambda: wire.goodbyes, seconds=20)[0] == b"too_many_pings"
        until(lambda: wire.connections == 2)


def test_a_call_ends_when_its_server_disappears_silently() -> None:
    with wired() as (wire, call):
        stream = call(b"", timeout=20)
        next(stream)
        until(lambda: wire.pings >= 2)  # one of them measures the bandwidth
        wire.broken.set()
        assert outcome(lambda: next(stream)) is Status.UNAVAILABLE
        until(lambda: wire.connections == 2)  # the client tries anew


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_tcp_user_timeout_is_the_keepalive_timeout() -> None:
    with (
        backends(echo) as [server],
        open_channel(server.address, keepalive=Keepalive(timeout=4.321)) as channel,
    ):
        call: Any = channel.unary_unary("/a.B/C")
        call(b"")
        found = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for one in connected(server)]
        assert found == [4321]


def connected(server: Backend) -> Iterator[socket.socket]:
    """This process's own ends of its connections to the server."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as one:
            if one.family != socket.AF_UNIX and server.address.endswith(f":{one.getpeername()[1]}"):
                yield one


@pytest.mark.parametrize("form", ["127.0.0.1:{0}", "ipv4:127.0.0.1:{0}", "ipv4:127.0.0.1:{0},127.0.0.1:{0}"])
def test_calls_to_loopback_do_not_use_a_proxy(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    with backends(echo) as [server]:
        target = form.format(server.address.rpartition(":")[2])
        with open_channel(target, timeout=5) as channel:
            call: Any = channel.unary_unary("/a.B/C")
            assert call(b"a") == b"a"


MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("of_asyncio", [False, True])
@pytest.mark.parametrize(
    ("limits", "sent", "code"),
    [
        ({}, 5 * MEBIBYTE, Status.RESOURCE_EXHAUSTED),
        ({"max_receive_bytes": 6 * MEBIBYTE}, 5 * MEBIBYTE, Status.OK),
        ({"max_receive_bytes": 999}, 999, Status.OK),
        ({"max_receive_bytes": 999}, 1000, Status.RESOURCE_EXHAUSTED),
        ({"max_send_bytes": 999}, 999, Status.OK),
        ({"max_send_bytes": 999}, 1000, Status.RESOURCE_EXHAUSTED),
    ],
)
def test_the_sizes_of_messages_are_those_of_the_channel(
    limits: dict[str, Any], sent: int, code: Status, *, of_asyncio: bool
) -> None:
    async def called(target: str) -> Any:
        async with aio_channel(target, **limits) as channel:
            call: Any = channel.unary_unary("/a.B/C")
            return await call(b"a" * sent, timeout=20)

    server = Backend(echo, options=[("grpc.max_receive_message_length", -1)])
    if of_asyncio:
        found = outcome(lambda: asyncio.run(called(server.address)))
    else:
        with open_channel(server.address, timeout=20, **limits) as channel:
            call: Any = channel.unary_unary("/a.B/C")
            found = outcome(lambda: call(b"a" * sent))
    server.stop()
    assert found is code


@pytest.mark.parametrize("size", [0, -1, 2**31, True, 1.5])
@pytest.mark.parametrize("name", ["max_receive_bytes", "max_send_bytes"])
def test_a_size_that_grpc_would_take_for_something_else_is_refused(name: str, size: Any) -> None:
    with pytest.raises(ValueError, match=f"for {name}: expected an integer of bytes from 1 to 2147483647"):
        open_channel("a:1", **{name: size})


# This machine, by a name that the client does not take for it before it is resolved.
SOMEWHERE = "LOCALHOST"


def test_a_channel_may_ignore_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    with backends(echo) as [server]:
        target = f"{SOMEWHERE}:{server.address.rpartition(':')[2]}"
        for proxy, code in ((True, Status.UNAVAILABLE), (False, Status.OK)):
            with open_channel(target, timeout=5, proxy=proxy) as channel:
                call: Any = channel.unary_unary("/a.B/C")
                assert outcome(partial(call, b"a")) is code

        async def called(*, proxy: bool) -> Any:
            async with aio_channel(target, proxy=proxy) as channel:
                call: Any = channel.unary_unary("/a.B/C")
                return await call(b"a", timeout=5)

        assert asyncio.run(called(proxy=False)) == b"a"
        with pytest.raises(grpc.RpcError):
            asyncio.run(called(proxy=True))


def run(several: list[Backend], work: Callable[[Any], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        target = target_of(several)
        async with aio_channel(target, services=[PROBE], config=ServiceConfig(**settings)) as channel:
            await work(channel.unary_unary("/probe.Probe/Unary"))

    asyncio.run(main())


def test_calls_on_asyncio_are_balanced() -> None:
    async def work(call: Any) -> None:
        while any(not one.attempts for one in several):
            await call(b"", timeout=5)
        for one in several:
            one.attempts.clear()
        await asyncio.gather(*(call(b"", timeout=5) for _ in range(30)))

    with backends(echo, echo, echo) as several:
        run(several, work)
        assert [len(one.attempts) for one in several] == [10, 10, 10]


def test_retries_and_timeouts_of_the_config_apply_on_asyncio() -> None:
    async def work(call: Any) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            await call(b"")
        codes.append(caught.value.code())

    codes: list[Status] = []
    quick = RetryPolicy(initial_backoff=0.01, max_backoff=0.01)
    with backends(failing()) as several:
        run(several, work, retry=quick)
        assert len(several[0].attempts) == 4
        run(several, work, methods={"probe.Probe/Unary": MethodConfig(timeout=0.05)})
    assert codes == [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED]


def test_a_channel_for_asyncio_rejects_the_same_arguments() -> None:
    config = ServiceConfig(methods={"probe.Probe/No": MethodConfig()})
    for target, services, words in (("", (), "target is empty"), ("a:1", [PROBE], "unknown method No")):
        with pytest.raises(ValueError, match=words):
            aio_channel(target, services=services, config=config)
