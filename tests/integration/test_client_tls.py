"""TLS and mutual TLS of the client, and calls while its files are replaced."""

import asyncio
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from app.client.channel import aio_channel
from app.client.channel import channel as open_channel
from app.client.propagation import CallDefaults
from app.client.reloading import ReloadingChannel
from app.client.tls import Tls
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.certificates import NAMES, Pair, Volume, issued
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS, Probe
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.process import ROOT, environment
from tests.support.waiting import until

Status = grpc.StatusCode
each_method = pytest.mark.parametrize("method", CALLS)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


class Files:
    """What a server and its client have mounted: the server's certificate, and the client's, of one CA."""

    def __init__(self, directory: Path, ca: trustme.CA, *names: str) -> None:
        self._ca = ca
        for who in ("server", "client"):
            (directory / who).mkdir()
        self.server = Volume(directory / "server", **self._of(issued(ca, *(names or NAMES))))
        self.client = Volume(directory / "client", **self._of(issued(ca, "ann.example")))

    def _of(self, pair: Pair) -> dict[str, bytes]:
        return {"cert": pair.certificate, "key": pair.key, "ca": self._ca.cert_pem.bytes()}

    def renew(self, name: str) -> None:
        """Gives the client a certificate with that name."""
        self.client.put(**self._of(issued(self._ca, name)))

    def settings(self, *, mutual: bool = False) -> dict[str, Any]:
        files = {"tls_cert_file": self.server.path("cert"), "tls_key_file": self.server.path("key")}
        return files | ({"tls_client_ca_file": self.server.path("ca")} if mutual else {})

    def tls(self, *, mutual: bool = False, **how: Any) -> Tls:
        own: dict[str, Any] = {}
        if mutual:
            own = {"cert_file": self.client.path("cert"), "key_file": self.client.path("key")}
        return Tls(ca_file=self.client.path("ca"), **own, **how)


@pytest.fixture
def files(tmp_path: Path, ca: trustme.CA) -> Files:
    return Files(tmp_path, ca)


def stub_of(channel: grpc.Channel) -> Any:
    return probe_pb2_grpc.ProbeStub(channel)


class Renewing:
    """A channel that looks at its files at each call, and every channel that it has opened for that."""

    def __init__(self, target: str, tls: Tls) -> None:
        self._target = target
        self._opened: list[weakref.ref[grpc.Channel]] = []
        self.channel = grpc.intercept_channel(
            ReloadingChannel(tls.credentials(interval=0), self._open), CallDefaults(timeout=20)
        )
        self.stub = stub_of(self.channel)

    def _open(self, credentials: grpc.ChannelCredentials) -> grpc.Channel:
        opened = grpc.secure_channel(self._target, credentials)
        self._opened.append(weakref.ref(opened))
        return opened

    @property
    def opened(self) -> int:
        return len(self._opened)

    def alive(self) -> int:
        return sum(channel() is not None for channel in self._opened)


@contextmanager
def renewing(files: Files, probe: Probe | None = None) -> Iterator[tuple[ProbeServer, Renewing]]:
    with probe_server(probe, **files.settings(mutual=True)) as at:
        client = Renewing(at.server.target, files.tls(mutual=True))
        with client.channel:
            yield at, client


def names(at: ProbeServer) -> list[str]:
    """Who has called, as the access log has it."""
    return [line["peer_identity"] for line in at.server.calls()]


@each_method
def test_the_client_calls_every_arity_over_tls(method: str, files: Files) -> None:
    with probe_server(**files.settings()) as at, open_channel(at.server.target, tls=files.tls()) as channel:
        CALLS[method](stub_of(channel))
        assert at.seen() == [(method, "OK")]


@each_method
def test_every_arity_works_over_mutual_tls(method: str, files: Files) -> None:
    with (
        probe_server(**files.settings(mutual=True)) as at,
        open_channel(at.server.target, tls=files.tls(mutual=True)) as channel,
    ):
        CALLS[method](stub_of(channel))
        assert names(at) == ["ann.example"]


def test_a_server_with_a_certificate_of_another_ca_is_not_called(files: Files, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    with probe_server(**files.settings()) as at:
        for tls in (Tls(ca_file=other), Tls()):
            with open_channel(at.server.target, tls=tls, timeout=10) as channel:
                assert outcome(lambda: CALLS["Unary"](stub_of(channel))) is Status.UNAVAILABLE
        assert at.seen() == []


CALL = """
import sys
from app.client.channel import channel
from app.client.tls import Tls
from tests.gen import probe_pb2 as pb, probe_pb2_grpc

with channel(sys.argv[1], tls=Tls(), timeout=10) as opened:
    print(probe_pb2_grpc.ProbeStub(opened).Unary(pb.ProbeRequest()).text)
"""


def test_without_a_ca_file_the_file_of_grpcs_variable_is_used(files: Files) -> None:
    with probe_server(**files.settings()) as at:
        done = subprocess.run(
            [sys.executable, "-c", CALL, at.server.target],
            env=environment(GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(files.client.path("ca"))),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("reply\n", "")


def test_server_name_sets_the_name_to_verify(tmp_path: Path, ca: trustme.CA) -> None:
    files = Files(tmp_path, ca, "server.example")
    with probe_server(**files.settings()) as at:
        for name, expected in ((None, Status.UNAVAILABLE), ("server.example", Status.OK)):
            tls = files.tls(server_name=name)
            with open_channel(at.server.target, tls=tls, timeout=10) as channel:
                assert outcome(lambda: CALLS["Unary"](stub_of(channel))) is expected


def test_over_a_unix_socket_the_name_is_localhost(files: Files, tmp_path: Path) -> None:
    with (
        probe_server(listen=f"unix:{tmp_path}/s", **files.settings()) as at,
        open_channel(at.server.target, tls=files.tls(), timeout=10) as channel,
    ):
        CALLS["Unary"](stub_of(channel))
        assert at.seen() == [("Unary", "OK")]


def test_a_renewed_certificate_is_used_by_the_next_call(files: Files) -> None:
    with renewing(files) as (at, client):
        CALLS["Unary"](client.stub)
        files.renew("ben.example")
        CALLS["Unary"](client.stub)
        assert names(at) == ["ann.example", "ben.example"]


def test_a_renewed_ca_is_used_by_the_next_call(files: Files, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    new = Files(tmp_path / "new", trustme.CA())
    with probe_server(**files.settings()) as old, probe_server(**new.settings()) as at:
        client = Renewing(at.server.target, files.tls())
        with client.channel:
            assert outcome(lambda: CALLS["Unary"](client.stub)) is Status.UNAVAILABLE
            files.client.put(ca=new.server.path("ca").read_bytes())
            CALLS["Unary"](client.stub)
        assert at.seen() == [("Unary", "OK")]
        assert old.seen() == []


def test_an_invalid_file_keeps_the_old_credentials(files: Files) -> None:
    with renewing(files) as (at, client):
        CALLS["Unary"](client.stub)
        files.client.put(cert=b"garbage", key=b"garbage", ca=b"garbage")
        CALLS["Unary"](client.stub)
        assert names(at) == ["ann.example"] * 2
        assert client.opened == 1


def test_calls_of_every_arity_continue_while_the_channel_is_replaced(files: Files) -> None:
    begun, released = threading.Semaphore(0), threading.Event()
    probe = Probe()

    def hold(*_: Any) -> None:
        begun.release()
        assert released.wait(20)

    probe.on_call = hold
    codes: list[Status] = []
    with renewing(files, probe) as (at, client):

        def wait_for(call: Callable[[Any], Any]) -> None:
            codes.append(outcome(lambda: call(client.stub)))

        threads = [threading.Thread(target=wait_for, args=[call]) for call in CALLS.values()]
        for thread in threads:
            thread.start()
        future = client.stub.Unary.future(pb.ProbeRequest())
        for _ in range(5):
            assert begun.acquire(timeout=5)
        probe.on_call = lambda *_: None
        for name in ("ben.example", "cid.example", "dan.example"):
            files.renew(name)
            CALLS["Unary"](client.stub)
        assert client.opened == 4
        assert client.alive() == 2  # the first, for the calls that go on, and the newest
        released.set()
        for thread in threads:
            thread.join(10)
        assert future.result(timeout=5) == pb.ProbeReply(text="reply")
        assert codes == [Status.OK] * 4
        del future
        until(lambda: client.alive() == 1)
        until(lambda: len(names(at)) == 8)
        assert sorted(names(at)) == ["ann.example"] * 5 + ["ben.example", "cid.example", "dan.example"]


def test_an_open_stream_continues_on_its_old_connection(files: Files) -> None:
    with renewing(files) as (at, client):
        turns = threading.Event()
        at.probe.on_call = lambda *_: None
        at.probe.between = lambda _: turns.wait(10)
        replies = client.stub.BidiStream(iter([pb.ProbeRequest()]))
        assert next(replies) == pb.ProbeReply(text="reply")
        files.renew("ben.example")
        CALLS["Unary"](client.stub)
        turns.set()
        assert list(replies) == [pb.ProbeReply(text="reply")]
        assert replies.code() is Status.OK


def sockets() -> int:
    """How many this process has open."""
    links = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the directory's own
            links.append(os.readlink(one))  # noqa: PTH115 - a socket is no path
    return sum(link.startswith("socket:") for link in links)


def test_many_renewals_leave_one_channel_and_one_connection(files: Files) -> None:
    with renewing(files) as (_, client):
        CALLS["Unary"](client.stub)
        before = sockets()
        for number in range(30):
            files.renew(f"name-{number}.example")
            CALLS["Unary" if number % 2 else "ServerStream"](client.stub)
        assert client.opened == 31
        until(lambda: client.alive() == 1)
        until(lambda: sockets() <= before)


def test_concurrent_calls_after_a_renewal_replace_the_channel_once(files: Files) -> None:
    with renewing(files) as (_, client):
        codes: list[Status] = []
        for number in range(5):
            files.renew(f"name-{number}.example")
            together = threading.Barrier(8)

            def call(together: threading.Barrier = together) -> None:
                together.wait(5)
                codes.append(outcome(lambda: CALLS["Unary"](client.stub)))

            threads = [threading.Thread(target=call) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
        assert codes == [Status.OK] * 40
        assert client.opened == 6


def test_close_ends_the_calls_on_old_channels(files: Files) -> None:
    with renewing(files) as (at, client):
        at.probe.between = lambda context: context.wait(20)
        old = client.stub.ServerStream(pb.ProbeRequest())
        next(old)
        files.renew("ben.example")
        new = client.stub.ServerStream(pb.ProbeRequest())
        next(new)
        assert client.alive() == 2
        client.channel.close()
        assert outcome(lambda: list(old)) is outcome(lambda: list(new)) is Status.CANCELLED


def test_a_subscriber_gets_the_states_of_the_new_channel(files: Files) -> None:
    with renewing(files) as (_, client):
        heard: list[grpc.ChannelConnectivity] = []
        client.channel.subscribe(heard.append, try_to_connect=True)
        ready = grpc.ChannelConnectivity.READY
        until(lambda: ready in heard)
        heard.clear()
        files.renew("ben.example")
        CALLS["Unary"](client.stub)
        until(lambda: ready in heard)
        client.channel.unsubscribe(heard.append)
        client.channel.unsubscribe(heard.append)
        files.renew("cid.example")
        grpc.channel_ready_future(client.channel).result(timeout=5)


def test_a_channel_that_is_dropped_without_close_leaves_nothing_behind(files: Files) -> None:
    with probe_server(**files.settings(mutual=True)) as at:
        client = Renewing(at.server.target, files.tls(mutual=True))
        CALLS["Unary"](client.stub)
        threads = threading.active_count()
        del client.channel, client.stub
        assert client.alive() == 0
        assert threading.active_count() <= threads


def test_reloading_works_with_spans_and_metrics(files: Files) -> None:
    registry = CollectorRegistry()
    with (
        probe_server(**files.settings(mutual=True)) as at,
        open_channel(
            at.server.target,
            tls=files.tls(mutual=True),
            timeout=10,
            tracing=TracerProvider(shutdown_on_exit=False),
            metrics=registry,
        ) as channel,
    ):
        stub = stub_of(channel)
        for call in CALLS.values():
            call(stub)
        files.renew("ben.example")

        def renewed() -> bool:
            CALLS["Unary"](stub)
            return "ben.example" in names(at)

        until(renewed)
        for call in CALLS.values():
            call(stub)
        assert names(at)[-4:] == ["ben.example"] * 4
        codes = {code for _, code in at.seen()}
        assert codes == {"OK"}


def test_the_aio_channel_has_the_same_tls(files: Files) -> None:
    async def called(target: str, tls: Tls) -> str:
        async with aio_channel(target, tls=tls) as channel:
            stub: Any = probe_pb2_grpc.ProbeStub(channel)  # type: ignore[arg-type]
            reply = await stub.Unary(pb.ProbeRequest(), timeout=10)
            return str(reply.text)

    with probe_server(**files.settings(mutual=True)) as at:
        assert asyncio.run(called(at.server.target, files.tls(mutual=True))) == "reply"
        assert names(at) == ["ann.example"]
