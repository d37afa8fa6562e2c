"""gRPC's interop test cases with grpc-go's clients, through the whole chain, with every concern on."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.core.service import Service
from tests.interop.service import interop_service
from tests.support.servers.probe_server import seen
from tests.support.servers.process import environment
from tests.support.servers.server import TOKEN, Server, running
from tests.support.waiting import until

HERE = Path(__file__).parent

pytestmark = pytest.mark.timeout(600)  # the first test builds the clients: a minute where nothing is cached

# Each case with the calls that span, metric and log line have of it.
CASES = {
    "empty_unary": [("EmptyCall", "OK")],
    "large_unary": [("UnaryCall", "OK")],
    "server_streaming": [("StreamingOutputCall", "OK")],
    "client_streaming": [("StreamingInputCall", "OK")],
    "ping_pong": [("FullDuplexCall", "OK")],
    "empty_stream": [("FullDuplexCall", "OK")],
    "cancel_after_first_response": [("FullDuplexCall", "Canceled")],
    "status_code_and_message": [("FullDuplexCall", "Unknown"), ("UnaryCall", "Unknown")],
    "special_status_message": [("UnaryCall", "Unknown")],
    "custom_metadata": [("FullDuplexCall", "OK"), ("UnaryCall", "OK")],
    "unimplemented_method": [("UnimplementedCall", "Unimplemented")],
    "unimplemented_service": [("unknown", "Unimplemented")],
}
# These end at the client, often before its program has sent the call on the connection that it opens for it.
# On a connection that is open the server sees them, as one of the pairs here: the client's clock starts
# first, so its cancel may come just before the deadline as the server counts it.
ENDED_BY_THE_CLIENT = {
    "cancel_after_begin": {("StreamingInputCall", "Canceled")},
    "timeout_on_sleeping_server": {("FullDuplexCall", "DeadlineExceeded"), ("FullDuplexCall", "Canceled")},
}


@dataclass
class Clients:
    """Programs: grpc-go's own, and ours (main.go), which runs its cases on a connection that is open."""

    stock: Path
    warm: Path


def run(*command: str | Path, env: dict[str, str] | None = None, seconds: float = 30) -> str:
    done = subprocess.run(
        command, cwd=HERE, env=env, timeout=seconds, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def go(*arguments: str | Path) -> str:
    """Runs the Go of this environment here, and returns what it printed."""
    # No other tool chain, no other modules than those of go.sum, and no need of a git checkout.
    where = environment(GOTOOLCHAIN="local", GOFLAGS="-mod=readonly -buildvcs=false")
    return run(Path(sys.executable).with_name("go"), *arguments, env=where, seconds=500)


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    folder = tmp_path_factory.mktemp("clients")
    built = Clients(folder / "stock", folder / "warm")
    go("build", "-o", built.stock, "google.golang.org/grpc/interop/client")
    go("build", "-o", built.warm, ".")
    return built


@pytest.fixture(scope="session")
def service() -> Service[Any]:
    return interop_service()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@dataclass
class Transport:
    """Settings of the server, and the file of its CA, if the transport is TLS."""

    settings: dict[str, Any]
    ca_file: Path | None


@pytest.fixture(params=["plaintext", "tls"])
def transport(request: pytest.FixtureRequest, ca: trustme.CA, tmp_path: Path) -> Transport:
    if request.param == "plaintext":
        return Transport({}, None)
    certificate = ca.issue_cert("localhost")
    cert_file, key_file, ca_file = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    certificate.private_key_pem.write_to_path(key_file)
    certificate.cert_chain_pems[0].write_to_path(cert_file)
    ca.cert_pem.write_to_path(ca_file)
    return Transport({"tls_cert_file": cert_file, "tls_key_file": key_file}, ca_file)


@pytest.fixture
def server(service: Service[Any], transport: Transport, tmp_path: Path) -> Iterator[Server]:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"interop:{TOKEN}\n")
    with running([service], auth_mode="tokens", auth_tokens_file=tokens, **transport.settings) as started:
        yield started


def run_stock(clients: Clients, case: str, server: Server, ca_file: Path | None) -> None:
    host, _, port = server.target.rpartition(":")
    tls = ("-use_tls", "-use_test_ca", "-ca_file", ca_file, "-server_host_override", "localhost")
    run(
        clients.stock,
        *("-test_case", case, "-server_host", host, "-server_port", port),
        *("-additional_metadata", f"authorization:Bearer {TOKEN}"),
        *(tls if ca_file is not None else ()),
    )


def recorded(server: Server, calls: int) -> list[tuple[str, str]]:
    """What span, metric and log line agree on, once so many calls are over; each had to show its token."""
    until(lambda: len(server.spans) >= calls)  # the span is the last of the three to be written
    for line in server.calls():
        assert line["principal"] == ("" if line["method"] == "unknown" else "interop")
    assert not server.lines("unhandled_exception")
    return seen(server)


@pytest.mark.parametrize("case", CASES)
def test_a_case_passes(case: str, clients: Clients, server: Server, transport: Transport) -> None:
    run_stock(clients, case, server, transport.ca_file)
    assert recorded(server, len(CASES[case])) == CASES[case]


@pytest.mark.parametrize("case", ENDED_BY_THE_CLIENT)
def test_a_case_that_the_client_ends_passes(
    case: str, clients: Clients, server: Server, transport: Transport
) -> None:
    run_stock(clients, case, server, transport.ca_file)


@pytest.mark.parametrize("case", ENDED_BY_THE_CLIENT)
def test_on_an_open_connection_the_server_sees_once_what_the_client_ends(
    case: str, clients: Clients, server: Server, transport: Transport
) -> None:
    ca_file = () if transport.ca_file is None else ("-ca_file", transport.ca_file)
    run(clients.warm, "-target", server.target, "-case", case, "-token", TOKEN, *ca_file)
    *around, (method, code) = recorded(server, 3)
    assert around == [("EmptyCall", "OK")] * 2
    assert (method, code) in ENDED_BY_THE_CLIENT[case]


def test_the_client_of_ours_is_formatted_and_vetted() -> None:
    go("vet", ".")
    gofmt = Path(go("env", "GOROOT").strip()) / "bin" / "gofmt"
    assert run(gofmt, "-l", ".") == ""
