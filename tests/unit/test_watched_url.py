import io
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.core.errors import StartError
from app.reload.url import WatchedUrl, check_url, is_secure
from app.telemetry.logs import logs
from tests.support.network.proxy import Proxy
from tests.support.servers.web import Web, send, web
from tests.support.waiting import until


def number(content: bytes) -> int:
    return int(content)


# The log's lines so far.
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log() -> Iterator[Log]:
    out = io.StringIO()

    with logs("info", "json", out) as lines:

        def read() -> list[dict[str, Any]]:
            lines.flush()
            return [json.loads(line) for line in out.getvalue().splitlines()]

        yield read


@pytest.fixture
def at() -> Iterator[Web]:
    with web() as server:
        server.serve(b"1")
        yield server


def watched(at: Web, **how: float) -> WatchedUrl[int]:
    """One that fetches at each look."""
    return WatchedUrl(at.url, number, **({"period": 0, "cooldown": 0, "timeout": 5} | how))


def test_a_new_answer_is_taken_and_the_same_answer_is_the_same_value(at: Web, log: Log) -> None:
    at.serve(b"1000")
    found = watched(at)
    first = found.value
    found.look()
    assert found.value is first
    at.serve(b"1001")
    found.look()
    assert found.value == 1001
    assert [line["event"] for line in log()] == ["url_reloaded"]


def test_the_time_of_the_last_valid_response_is_kept(at: Web) -> None:
    began = time.time()
    found = watched(at)
    first = found.fetched
    assert began <= first <= time.time()
    at.answer = answered(500)
    found.look()
    at.serve(b"x")
    found.look()
    assert found.fetched == first
    at.serve(b"1")  # the same as before
    found.look()
    assert first < found.fetched <= time.time()


def answered(status: int, body: bytes = b"2", **headers: str) -> Any:
    return lambda request: send(request, body, status, **headers)


def cut(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "10")
    request.end_headers()
    request.wfile.write(b"2")
    request.close_connection = True


BAD: dict[str, tuple[Any, str]] = {
    "an error of the server": (answered(500), "status 500"),
    "no such page": (answered(404), "status 404"),
    "no content": (answered(204, b""), "status 204"),
    "a redirect": (answered(302, Location="http://localhost:1/"), "status 302"),
    "a redirect to a file": (answered(301, Location="file:///etc/passwd"), "status 301"),
    "a login page": (answered(200, b"<html>s3cret"), "invalid literal"),
    "nothing": (answered(200, b""), "invalid literal"),
    "too much": (answered(200, b"1" * (256 * 1024 + 1)), "larger than 256 KiB"),
    "no HTTP": (lambda request: request.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "not HTTP"),
    "a cut answer": (cut, "incomplete"),
    "a line without end": (lambda request: request.wfile.write(b"HTTP/1.1 200 " + b"x" * 70_000), "not HTTP"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_response_is_logged_once_and_the_last_valid_value_stays(
    name: str, at: Web, log: Log
) -> None:
    found = watched(at)
    at.answer, problem = BAD[name]
    for _ in range(3):
        found.look()
    assert found.value == 1
    [line] = log()
    assert (line["event"], line["url"]) == ("reload_failed", at.url)
    assert problem in line["problem"]
    at.serve(b"2")
    found.look()
    assert found.value == 2


@pytest.mark.parametrize("name", BAD)
def test_a_bad_first_answer_stops_the_start(name: str, at: Web) -> None:
    at.answer, problem = BAD[name]
    with pytest.raises(StartError, match=f"{at.url}: .*{problem}"):
        watched(at)


def test_an_unreachable_server_is_logged_with_the_reason(log: Log) -> None:
    with web() as at:
        at.serve(b"1")
        found = watched(at)
    found.look()
    assert log()[0]["problem"] == "Connection refused"
    with pytest.raises(StartError, match=r"/jwks: Connection refused"):
        watched(at)


def dripping(at: Web, before: bytes) -> Any:
    """Sends a byte now and then, which no time limit on a single read ever notices."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(before)
        while not at.ended.wait(0.02):
            request.wfile.write(b"1")

    return drip


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b""]
)
def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_the_next_fetch(
    before: bytes, at: Web, log: Log
) -> None:
    found = watched(at, timeout=0.2)
    at.answer = dripping(at, before)
    began = time.monotonic()
    for _ in range(3):
        found.look()
    assert time.monotonic() - began < 2
    assert at.asked == 4
    assert found.value == 1
    [line] = log()
    assert line["problem"] == "no complete response within 0.2 s"
    with pytest.raises(StartError, match=r"no complete response within 0\.2 s"):
        watched(at, timeout=0.2)
    at.serve(b"2")
    found.look()
    assert found.value == 2


@pytest.fixture
def over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with web(context) as server:
        server.serve(b"1")
        yield server


class DrippingProxy(Proxy):
    """While `drips` is set, it forwards a byte now and then, and counts the connections."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.drips = False
        self.connections = 0

    def forward(self, data: bytes, other: socket.socket) -> None:
        if not self.drips:
            other.sendall(data)
            return
        self.connections += data.startswith(b"\x16\x03\x01")  # the client's first words in TLS
        for byte in data:
            time.sleep(0.02)
            other.sendall(bytes([byte]))


def check_each_look_fetches(found: WatchedUrl[int], connections: Callable[[], int]) -> None:
    began = time.monotonic()
    seen = []
    for _ in range(3):
        found.look()
        seen.append(connections())
    assert time.monotonic() - began < 2
    assert seen == [1, 2, 3]
    assert found.value == 1


def test_a_tls_handshake_that_drips_does_not_hold_the_next_fetch(over_tls: Web) -> None:
    port = over_tls.url.rpartition(":")[2].partition("/")[0]
    with DrippingProxy(f"127.0.0.1:{port}") as between:
        over_tls.url = over_tls.url.replace(port, between.target.rpartition(":")[2])
        found = watched(over_tls, timeout=0.2)
        between.drips = True
        check_each_look_fetches(found, lambda: between.connections)


@pytest.mark.parametrize(
    "before",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03\x40\x00"],
    ids=["before the status", "in a header", "in the TLS handshake"],
)
def test_a_proxy_that_drips_does_not_hold_the_next_fetch(
    before: bytes, over_tls: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = watched(over_tls, timeout=0.2)
    asked: list[bytes] = []
    ended = threading.Event()

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(4096))
            with suppress(OSError):
                self.request.sendall(before)
                while not ended.wait(0.02):
                    self.request.sendall(b"1")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.01,)).start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        try:
            check_each_look_fetches(found, lambda: len(asked))
        finally:
            ended.set()
            proxy.shutdown()
    assert all(request.startswith(b"CONNECT localhost:") for request in asked)
    monkeypatch.delenv("https_proxy")
    over_tls.serve(b"2")
    found.look()
    assert found.value == 2


def test_addresses_that_do_not_answer_share_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of several addresses, whose packets a firewall drops."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as listener, ExitStack() as opened:  # noqa: S104
        port = listener.getsockname()[1]
        with suppress(TimeoutError):
            for _ in range(10):  # until the backlog is full
                opened.enter_context(socket.create_connection(("127.0.0.1", port), 0.2))
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in range(1, 6)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        began = time.monotonic()
        with pytest.raises(StartError, match=r"no complete response|timed out"):
            WatchedUrl(f"http://several.test:{port}/", number, timeout=0.5)
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("due", ["by the period", "because it is asked for"])
def test_after_a_response_that_drips_the_next_one_counts_within_the_timeout_and_the_cooldown(
    due: str, at: Web
) -> None:
    """Within 30 s by default: 10 for the timeout, 15 for the cooldown, and a second for each thread."""
    found = watched(at, period=0.3 if due == "by the period" else 1000, cooldown=0.3, timeout=0.3)
    drips = threading.Event()
    drip = dripping(at, b"HTTP/1.1 200 OK\r\nX: ")

    def answer(request: BaseHTTPRequestHandler) -> None:
        at.serve(b"2")  # for the fetches to come
        drips.set()
        drip(request)

    at.answer = answer
    with found:
        found.ask()
        assert drips.wait(5)
        began = time.monotonic()
        until(lambda: found.value == 2)
        assert time.monotonic() - began < 0.3 + 1 + 0.3 + 0.3 + 1


def test_it_is_fetched_again_once_a_period(at: Web) -> None:
    found = watched(at, period=0.2, cooldown=0.05)
    found.look()
    assert at.asked == 1
    time.sleep(0.21)  # the period
    found.look()
    assert at.asked == 2
    found.look()
    assert at.asked == 2
    at.serve(b"2")
    with found:
        until(lambda: found.value == 2)


def test_a_request_fetches_at_once_and_then_at_most_once_per_cooldown(at: Web) -> None:
    found = watched(at, period=1000, cooldown=0.3)
    at.serve(b"2")
    found.look()
    assert at.asked == 1  # nobody asks
    found.ask()
    found.look()
    assert (at.asked, found.value) == (2, 2)
    at.serve(b"3")
    began = time.monotonic()
    while found.value == 2:
        found.ask()
        found.look()
        assert time.monotonic() - began < 5
    assert time.monotonic() - began > 0.25
    assert at.asked == 3
    time.sleep(0.31)  # the cooldown, in which nobody asks
    found.look()
    assert at.asked == 3


def test_a_server_that_failed_is_asked_again_after_the_cooldown_and_not_the_period(at: Web) -> None:
    found = watched(at, period=1000, cooldown=0.2)
    at.answer = answered(500)
    found.ask()
    found.look()
    at.serve(b"2")
    found.look()
    assert found.value == 1
    with found:
        until(lambda: found.value == 2)


def test_a_url_on_this_machine_is_fetched_without_a_proxy(at: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert watched(at).value == 1


def test_the_query_of_a_url_is_sent_and_never_logged(at: Web, log: Log) -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        send(request, b"1" if len(asked) == 1 else b"x")

    at.answer = answer
    at.url += "?key=s3cret"
    found = watched(at)
    found.look()
    assert asked[0] == "/jwks?key=s3cret"
    assert log()
    assert "s3cret" not in str(log())
    with pytest.raises(StartError) as caught:
        watched(at)
    assert "s3cret" not in str(caught.value)


def test_https_is_fetched_from_a_server_that_is_certified_and_from_no_other(
    over_tls: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watched(over_tls).value == 1
    over_tls.url = over_tls.url.replace("localhost", "127.0.0.1")
    with pytest.raises(StartError, match="certificate verify failed"):
        watched(over_tls)
    over_tls.url = over_tls.url.replace("127.0.0.1", "localhost")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(StartError, match="certificate verify failed"):
        watched(over_tls)


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.test/.well-known/jwks.json",
        "https://10.0.0.1:8443/keys?p=1",
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
        "http://127.1.2.3/keys",
        "http://[::1]:80/keys",
    ],
)
def test_https_is_secure_and_http_to_this_machine(url: str) -> None:
    assert check_url(url) == url
    assert is_secure(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.test/jwks",
        "http://10.0.0.1/jwks",
        "http://localhost.attacker.test/",
        "http://127.0.0.1.attacker.test/",
    ],
)
def test_http_to_another_machine_is_not_secure(url: str) -> None:
    assert check_url(url) == url
    assert not is_secure(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/keys", "expected https://HOST/PATH"),
        ("ftp://issuer.test/jwks", "expected https://HOST/PATH"),
        ("issuer.test/jwks", "expected https://HOST/PATH"),
        ("https://", "expected https://HOST/PATH"),
        ("https://[::1/jwks", "expected https://HOST/PATH"),
        ("https://issuer.test:99999/jwks", "expected https://HOST/PATH"),
        ("https://issuer.test/a b", "expected https://HOST/PATH"),
        ("https://issuer.test/\n", "expected https://HOST/PATH"),
        ("https://issuer.test/#keys", "expected https://HOST/PATH"),
        ("https://issuer.tést/", "expected https://HOST/PATH"),
        ("https://ann:s3cret@issuer.test/", "a user or password in a URL is not valid"),
        ("http://127.0.0.1@attacker.test/", "a user or password in a URL is not valid"),
    ],
)
def test_an_invalid_url_is_rejected_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        check_url(url)
    assert "s3cret" not in str(caught.value)
