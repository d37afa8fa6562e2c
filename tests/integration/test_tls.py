"""TLS and mutual TLS, from files that are replaced while the server runs."""

import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.core.call import current_call
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.certificates import NAMES, Pair, Volume, in_days, issued, issued_with_uri, trusting
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import probe_server
from tests.support.servers.server import TOKEN, Server, running
from tests.support.waiting import until

Status = grpc.StatusCode
each_method = pytest.mark.parametrize("method", CALLS)
EXPIRATION = "tls_certificate_expiration_timestamp_seconds"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def pair(ca: trustme.CA) -> Pair:
    return issued(ca, *NAMES)


@pytest.fixture
def volume(tmp_path: Path, ca: trustme.CA, pair: Pair) -> Volume:
    return Volume(tmp_path, cert=pair.certificate, key=pair.key, ca=ca.cert_pem.bytes())


def tls(volume: Volume, *, mutual: bool = False) -> dict[str, Any]:
    """The settings that name those files."""
    files = {"tls_cert_file": volume.path("cert"), "tls_key_file": volume.path("key")}
    return files | ({"tls_client_ca_file": volume.path("ca")} if mutual else {})


def over(credentials: grpc.ChannelCredentials) -> Callable[[str], grpc.Channel]:
    """Opens channels with connections of their own, so that each one shakes hands."""
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]

    def open_channel(target: str) -> grpc.Channel:
        # A socket's path is no name that a certificate could have.
        host = [("grpc.ssl_target_name_override", "localhost")] if target.startswith("unix:") else []
        return grpc.secure_channel(target, credentials, options=options + host)

    return open_channel


def called(target: str, credentials: grpc.ChannelCredentials | None) -> Status:
    """What a client sees that opens a connection for one call; without credentials, a plaintext one."""
    opened = grpc.insecure_channel(target) if credentials is None else over(credentials)(target)
    with opened as channel:
        stub: Any = probe_pb2_grpc.ProbeStub(channel)
        return outcome(lambda: stub.Unary(pb.ProbeRequest(), timeout=10))


def served(target: str) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    with (
        socket.create_connection((host.strip("[]"), int(port))) as plain,
        context.wrap_socket(plain) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return Pair(ssl.DER_cert_to_PEM_cert(shown).encode(), b"").leaf.serial_number


@each_method
def test_the_server_answers_every_arity_over_tls(method: str, volume: Volume, ca: trustme.CA) -> None:
    with probe_server(open_channel=over(trusting(ca)), **tls(volume)) as at:
        CALLS[method](at.stub)
        assert at.seen() == [(method, "OK")]
        [line] = at.server.calls()
        assert line["principal"] == ""
        assert "peer_identity" not in line


@each_method
def test_every_arity_works_over_mutual_tls_and_its_principal_is_the_clients_name(
    method: str, volume: Volume, ca: trustme.CA
) -> None:
    client = trusting(ca, issued(ca, "ann.example"))
    seen: list[str] = []
    with probe_server(open_channel=over(client), **tls(volume, mutual=True)) as at:
        at.probe.on_call = lambda _requests, _context: seen.append(current_call().principal)
        CALLS[method](at.stub)
        assert at.seen() == [(method, "OK")]
        [line] = at.server.calls()
        assert seen == [line["principal"]] == [line["peer_identity"]] == ["ann.example"]


@pytest.mark.parametrize(
    ("issue", "identity"),
    [
        (lambda ca: issued(ca, common_name="Änn"), "Änn"),
        (lambda ca: issued(ca, "ann.example", "also.example", common_name="Ann"), "ann.example"),
        (lambda ca: issued(ca, "ann@example.org"), "ann@example.org"),
        (lambda ca: issued_with_uri(ca, "ann.example", "spiffe://example/ann"), "spiffe://example/ann"),
    ],
)
def test_a_peers_identity_is_its_first_uri_or_its_first_other_name_or_its_common_name(
    issue: Callable[[trustme.CA], Pair], identity: str, volume: Volume, ca: trustme.CA
) -> None:
    client = trusting(ca, issue(ca))
    with probe_server(open_channel=over(client), **tls(volume, mutual=True)) as at:
        CALLS["Unary"](at.stub)
        assert at.server.calls()[0]["principal"] == identity


def test_with_tokens_the_principal_is_the_tokens_owner_and_the_log_has_both_names(
    volume: Volume, ca: trustme.CA, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ben:{TOKEN}\n")
    client = trusting(ca, issued(ca, "ann.example"))
    settings = {"auth_mode": "tokens", "auth_tokens_file": tokens, **tls(volume, mutual=True)}
    with probe_server(open_channel=over(client), **settings) as at:
        assert outcome(lambda: CALLS["Unary"](at.stub)) is Status.UNAUTHENTICATED
        CALLS["Unary"](at.stub, metadata=(("authorization", f"Bearer {TOKEN}"),))
        names = [(line["principal"], line["peer_identity"]) for line in at.server.calls()]
        assert names == [("", "ann.example"), ("ben", "ann.example")]


def test_a_call_that_is_refused_on_acceptance_is_logged_with_the_clients_name(
    volume: Volume, ca: trustme.CA
) -> None:
    client = trusting(ca, issued(ca, "ann.example"))
    with probe_server(open_channel=over(client), **tls(volume, mutual=True)) as at:
        assert outcome(lambda: at.channel.unary_unary("/no.Such/Method")(b"")) is Status.UNIMPLEMENTED
        assert at.server.calls()[0]["peer_identity"] == "ann.example"


def test_who_has_no_certificate_of_the_clients_ca_is_refused(volume: Volume, ca: trustme.CA) -> None:
    stranger = trustme.CA()
    with running(**tls(volume, mutual=True)) as server:
        assert called(server.target, trusting(ca)) is Status.UNAVAILABLE
        assert called(server.target, trusting(ca, issued(stranger, "ann.example"))) is Status.UNAVAILABLE
        expired = issued(ca, "ann.example", valid_from=in_days(-2), until=in_days(-1))
        assert called(server.target, trusting(ca, expired)) is Status.UNAVAILABLE
        assert server.calls() == []
        assert called(server.target, trusting(ca, issued(ca, "ann.example"))) is Status.OK


def test_a_plaintext_client_is_refused(volume: Volume, ca: trustme.CA) -> None:
    with running(**tls(volume)) as server:
        assert called(server.target, None) is Status.UNAVAILABLE
        assert server.calls() == []
        assert called(server.target, trusting(ca)) is Status.OK


def test_every_address_has_tls_health_and_reflection_too(
    volume: Volume, ca: trustme.CA, tmp_path: Path
) -> None:
    listen = f"localhost:0,unix:{tmp_path}/socket"
    with running(listen=listen, **tls(volume)) as server:
        targets = [str(address) for address in server.handle.addresses]
        assert len(targets) == 3
        for target in targets:
            assert called(target, None) is Status.UNAVAILABLE
            assert called(target, trusting(ca)) is Status.OK
            with over(trusting(ca))(target) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1


def test_a_client_that_never_shakes_hands_does_not_keep_its_place(volume: Volume) -> None:
    with running(keepalive_timeout=0.3, **tls(volume)) as server:
        host, _, port = server.target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as silent:
            assert silent.recv(100) == b""


@contextmanager
def old_tls(pair: Pair, directory: Path) -> Iterator[str]:
    """A server of TLS 1.1, to show that the client could."""
    (directory / "old").write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "old")
    with warnings.catch_warnings(action="ignore"):  # of TLS 1.1 being out of date
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with context.wrap_socket(listening.accept()[0], server_side=True):
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)


def shaken(target: str, version: ssl.TLSVersion) -> str | None:
    """The version of TLS that a client of that version has agreed on with the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings(action="ignore"):  # of TLS 1.1 being out of date
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as connection:
        return connection.version()


def test_tls_1_2_and_1_3_are_spoken_and_1_1_is_not(volume: Volume, pair: Pair, tmp_path: Path) -> None:
    with running(**tls(volume)) as server:
        assert shaken(server.target, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert shaken(server.target, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises(OSError, match="EOF"):
            shaken(server.target, ssl.TLSVersion.TLSv1_1)
    with old_tls(pair, tmp_path) as target:
        assert shaken(target, ssl.TLSVersion.TLSv1_1) == "TLSv1.1"


class Callers:
    """Clients that call again and again: one on a connection that it keeps, one on a new one each time."""

    def __init__(self, server: Server, credentials: grpc.ChannelCredentials) -> None:
        self.codes: list[Status] = []
        self._stop = threading.Event()
        self._kept = over(credentials)(server.target)
        stub: Any = probe_pb2_grpc.ProbeStub(self._kept)
        self._threads = [
            threading.Thread(target=self._call, args=[call])
            for call in (
                lambda: outcome(lambda: stub.Unary(pb.ProbeRequest(), timeout=10)),
                lambda: called(server.target, credentials),
            )
        ]

    def _call(self, call: Callable[[], Status]) -> None:
        while not self._stop.wait(0.001):
            self.codes.append(call())

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)
        self._kept.close()


def test_a_swapped_certificate_is_shown_to_new_connections_on_every_address_and_fails_no_call(
    volume: Volume, ca: trustme.CA, pair: Pair
) -> None:
    new = issued(ca, *NAMES, until=in_days(30))
    with running(listen="localhost:0", **tls(volume)) as server:
        targets = [str(address) for address in server.handle.addresses]
        channel = over(trusting(ca))(server.target)
        stub: Any = probe_pb2_grpc.ProbeStub(channel)
        go_on = threading.Event()

        def requests() -> Iterator[pb.ProbeRequest]:
            yield pb.ProbeRequest()
            go_on.wait(10)
            yield pb.ProbeRequest()

        stream = stub.BidiStream(requests(), timeout=30)
        next(stream)
        with Callers(server, trusting(ca)) as callers:
            until(lambda: len(callers.codes) > 50)
            assert [served(target) for target in targets] == [pair.leaf.serial_number] * 2
            assert server.samples(EXPIRATION) == [({"certificate": "server"}, pair.expiry)]
            volume.put(cert=new.certificate, key=new.key)
            until(lambda: [served(target) for target in targets] == [new.leaf.serial_number] * 2)
            before = len(callers.codes)
            until(lambda: len(callers.codes) > before + 50)
        go_on.set()
        assert len(list(stream)) == 1
        channel.close()
        assert set(callers.codes) == {Status.OK}
        assert server.samples(EXPIRATION) == [({"certificate": "server"}, new.expiry)]
        assert len(server.lines("file_reloaded")) == 1


def test_another_ca_of_clients_counts_for_new_connections_and_open_ones_go_on(
    volume: Volume, ca: trustme.CA, pair: Pair
) -> None:
    other = trustme.CA()
    ann, ben = issued(ca, "ann.example"), issued(other, "ben.example")
    with running(**tls(volume, mutual=True)) as server, over(trusting(ca, ann))(server.target) as kept:
        stub: Any = probe_pb2_grpc.ProbeStub(kept)
        stub.Unary(pb.ProbeRequest())
        assert called(server.target, trusting(ca, ben)) is Status.UNAVAILABLE
        volume.put(cert=pair.certificate, key=pair.key, ca=other.cert_pem.bytes())
        until(lambda: called(server.target, trusting(ca, ben)) is Status.OK)
        assert called(server.target, trusting(ca, ann)) is Status.UNAVAILABLE
        stub.Unary(pb.ProbeRequest())
        assert {labels["certificate"] for labels, _ in server.samples(EXPIRATION)} == {"server", "client_ca"}


def test_a_half_updated_pair_is_never_served(volume: Volume, ca: trustme.CA, pair: Pair) -> None:
    new = issued(ca, *NAMES)
    with running(**tls(volume)) as server, Callers(server, trusting(ca)) as callers:
        volume.put(cert=new.certificate, key=pair.key)
        [line] = until(lambda: server.lines("reload_failed"))
        assert line["problem"].startswith("the private key does not match the certificate")
        assert served(server.target) == pair.leaf.serial_number
        volume.put(cert=new.certificate, key=new.key)
        until(lambda: served(server.target) == new.leaf.serial_number)
    assert set(callers.codes) == {Status.OK}


def test_without_tls_there_is_no_expiration(server: Server) -> None:
    assert server.samples(EXPIRATION) == []
