"""The token sent with each call, and its replacement."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from app.client.channel import aio_channel
from app.client.channel import channel as open_channel
from app.client.tls import Tls
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.certificates import NAMES, Volume, issued
from tests.support.clients.status import code
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

Status = grpc.StatusCode
each_method = pytest.mark.parametrize("method", CALLS)


class Way:
    """A server that asks for tokens, and a client's file with one."""

    def __init__(self, at: ProbeServer, tokens: Volume, tls: Tls | None) -> None:
        self.at = at
        self.target = at.server.target
        self.tokens = tokens
        self.file = tokens.path("token")
        self.tls = tls

    def open(self) -> grpc.Channel:
        return open_channel(self.target, tls=self.tls, token_file=self.file, timeout=10)

    def callers(self) -> list[str]:
        return [line["principal"] for line in self.at.server.calls()]


OLD, NEW = "old-0123456789abcdef", "new-0123456789abcdef"


@pytest.fixture(params=["plaintext", "tls", "unix"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    (tmp_path / "tokens").write_text(f"old:{OLD}\nnew:{NEW}\n")
    settings: dict[str, Any] = {"auth_mode": "tokens", "auth_tokens_file": tmp_path / "tokens"}
    tls = None
    if request.param == "tls":
        ca = trustme.CA()
        pair = issued(ca, *NAMES)
        for name, content in (("cert", pair.certificate), ("key", pair.key), ("ca", ca.cert_pem.bytes())):
            (tmp_path / name).write_bytes(content)
        settings |= {"tls_cert_file": tmp_path / "cert", "tls_key_file": tmp_path / "key"}
        tls = Tls(ca_file=tmp_path / "ca")
    if request.param == "unix":
        settings["listen"] = f"unix:{tmp_path}/s"
    (tmp_path / "client").mkdir()
    tokens = Volume(tmp_path / "client", token=OLD.encode())
    with probe_server(**settings) as at:
        yield Way(at, tokens, tls)


@each_method
def test_the_token_is_sent_with_calls_of_every_arity(way: Way, method: str) -> None:
    with way.open() as channel:
        CALLS[method](probe_pb2_grpc.ProbeStub(channel))
    assert way.callers() == ["old"]


def test_a_new_token_is_used_within_about_a_second_on_the_same_connection(way: Way) -> None:
    with way.open() as channel:
        stub: Any = probe_pb2_grpc.ProbeStub(channel)
        CALLS["Unary"](stub)
        way.tokens.put(token=NEW.encode())

        def counts() -> bool:
            CALLS["Unary"](stub)
            return way.callers()[-1] == "new"

        until(counts)
        way.tokens.put(token=b"")
        for _ in range(3):
            CALLS["Unary"](stub)
        assert way.callers()[-3:] == ["new"] * 3


def test_an_unknown_token_is_unauthenticated(way: Way) -> None:
    way.tokens.put(token=b"unknown-0123456789")
    with way.open() as channel, pytest.raises(grpc.RpcError) as caught:
        CALLS["Unary"](probe_pb2_grpc.ProbeStub(channel))
    assert code(caught.value) is Status.UNAUTHENTICATED


def test_a_channel_with_a_token_starts_no_thread(way: Way) -> None:
    before = threading.active_count()
    for _ in range(5):
        way.open()
    assert threading.active_count() == before


def test_the_aio_channel_sends_the_same_token(way: Way) -> None:
    async def called() -> None:
        async with aio_channel(way.target, tls=way.tls, token_file=way.file) as channel:
            stub: Any = probe_pb2_grpc.ProbeStub(channel)  # type: ignore[arg-type]
            await stub.Unary(pb.ProbeRequest(), timeout=10)
            async for _ in stub.ServerStream(pb.ProbeRequest(), timeout=10):
                pass

    asyncio.run(called())
    assert way.callers() == ["old", "old"]


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff"])
def test_a_file_without_a_token_is_rejected_when_the_channel_is_opened(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    for open_it in (open_channel, aio_channel):
        with pytest.raises(ValueError, match=f"{file}: expected one token and nothing else"):
            open_it("localhost:1", token_file=file)
        with pytest.raises(FileNotFoundError, match="nowhere"):
            open_it("localhost:1", token_file=tmp_path / "nowhere")


def test_a_token_is_sent_in_plaintext_to_another_machine_only_if_allowed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    with pytest.raises(ValueError, match="would be sent to server:50051 unencrypted; use TLS, or if"):
        open_channel("server:50051", token_file=file)
    with pytest.raises(
        ValueError, match="would be sent to server:50051 unencrypted, and gRPC sends call cred"
    ):
        aio_channel("server:50051", token_file=file)
    open_channel("server:50051", token_file=file, allow_plaintext_token=True).close()
    open_channel("server:50051", token_file=file, tls=Tls()).close()
