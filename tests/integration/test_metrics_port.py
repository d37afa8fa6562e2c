"""What a client of the metrics port cannot do: hold up probes, threads, memory or the exit."""

import gzip
import io
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, Metric

from app.core.address import Address, parse_address
from app.runtime.metrics_port import metrics_port
from app.telemetry.logs import logs
from tests.attack.usage import cpu
from tests.support.servers.process import ROOT, ServerProcess, server_process
from tests.support.waiting import until

CRLF = b"\r\n"
PROBE = b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n"
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"


class Port:
    def __init__(self, address: Address) -> None:
        self.host, self.port = address.host, address.port
        self.address = str(address)

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection((self.host, self.port or 0), timeout=10)
        connection.sendall(sent)
        return connection

    def answer(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of what is answered to these bytes."""
        with self.connect(sent) as connection:
            return response(connection)


def response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    head, _, body = rest(connection).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body


def rest(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def port(
    collect: Callable[[], Iterable[Metric]] = list, *, max_connections: int = 16, timeout: float = 10
) -> Iterator[Port]:
    class Collector:
        def collect(self) -> Iterable[Metric]:
            return collect()

        def describe(self) -> Iterable[Metric]:
            return []

    registry = CollectorRegistry()
    registry.register(Collector())
    listening = metrics_port(
        [Address("127.0.0.1", 0)],
        registry,
        ready=lambda: True,
        max_connections=max_connections,
        timeout=timeout,
    )
    with listening as [address]:
        yield Port(address)


def headers(size: int) -> bytes:
    """A request whose head has that many bytes."""
    begin, end = b"GET /readyz HTTP/1.1\r\nHost: test\r\nX: ", b"\r\n\r\n"
    return begin + b"x" * (size - len(begin) - len(end)) + end


def test_a_request_has_at_most_16_kb_of_headers() -> None:
    with port() as at:
        assert at.answer(headers(16 * 1024))[0] == 200
        status, _, body = at.answer(headers(16 * 1024 + 1))
        assert (status, body) == (431, b"expected a request of at most 16 KB, with fewer than 100 headers\n")
        assert at.answer(PROBE[:-2] + b"X: x\r\n" * 98 + CRLF)[0] == 200
        assert at.answer(PROBE[:-2] + b"X: x\r\n" * 100 + CRLF)[0] == 431
        for size in (20_000, 100_000):  # the end of the headers need not come
            assert at.answer(headers(size)[:-4])[0] == 431


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /readyz",
        "GET /readyz HTTP/2.0",
        "GET  HTTP/1.1",
        "GET readyz HTTP/1.1",
        "\x16\x03\x01",
        "GET /\x00 HTTP/1.1",
    ],
)
def test_what_is_no_request_is_answered_with_400(request_line: str) -> None:
    with port() as at:
        assert at.answer(request_line.encode() + b"\r\n\r\n")[0] == 400


def test_the_path_may_have_a_query_or_an_origin() -> None:
    with port() as at:
        for target in (b"/readyz?verbose=1", b"http://test:9464/readyz", b"/readyz?"):
            assert at.answer(PROBE.replace(b"/readyz", target))[::2] == (200, b"ready\n")


@pytest.mark.parametrize("begin", [b"GET /", b"GET /metrics HTTP/1.1\r\nX: ", b""])
def test_a_request_that_does_not_end_is_closed_after_the_timeout(begin: bytes) -> None:
    with port(timeout=0.5) as at, at.connect(begin) as connection:
        began = time.monotonic()
        connection.settimeout(0.05)
        while time.monotonic() - began < 10:
            try:
                connection.sendall(b"x")
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert 0.4 < time.monotonic() - began < 8


def test_a_body_is_not_waited_for() -> None:
    with port() as at:
        began = time.monotonic()
        status, headers, _ = at.answer(b"POST /metrics HTTP/1.1\r\nContent-Length: 100000\r\n\r\nx")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
        assert time.monotonic() - began < 8


def test_an_answer_is_not_lost_with_a_body_that_nobody_reads() -> None:
    with port() as at:
        request = b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        with at.connect(request) as connection:
            time.sleep(1)  # the server has closed the connection, with a reset if it has not read everything
            assert response(connection)[0] == 405


def large() -> Iterable[Metric]:
    """More than the kernel's buffers hold."""
    family = CounterMetricFamily("large", "Large.", labels=["number"])
    for number in range(50):
        family.add_metric([f"{number}" + "x" * 200_000], 1)
    return [family]


def test_a_response_that_is_not_read_is_closed_after_the_timeout() -> None:
    with port(large, timeout=1.5) as at:
        with at.connect(SCRAPE) as connection:
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            time.sleep(2)  # the timeout
            received = 0
            with suppress(ConnectionResetError):
                while read := connection.recv(65536):
                    received += len(read)
            assert received < 9_000_000
        status, headers, body = at.answer(SCRAPE)
        assert status == 200
        assert int(headers["Content-Length"]) == len(body) > 10_000_000


def test_beyond_the_connections_the_oldest_is_closed() -> None:
    with port(max_connections=16) as at, ExitStack() as opened:
        silent = [opened.enter_context(at.connect()) for _ in range(100)]
        for _ in range(5):
            assert at.answer(PROBE)[0] == 200
        assert [rest(each) for each in silent[:84]] == [b""] * 84
        silent[-1].sendall(PROBE)
        assert response(silent[-1])[0] == 200


def test_scrapes_that_hold_all_connections_do_not_keep_probes_out() -> None:
    hold = threading.Event()

    def held() -> Iterable[Metric]:
        hold.wait(20)
        return []

    with port(held, max_connections=16) as at, ExitStack() as opened:
        opened.callback(hold.set)
        scrapes = [opened.enter_context(at.connect(SCRAPE)) for _ in range(50)]
        for _ in range(5):
            assert at.answer(PROBE)[0] == 200
        hold.set()
        assert response(scrapes[-1])[0] == 200


def test_connections_take_no_threads() -> None:
    before = threading.active_count()
    with port(max_connections=400) as at, ExitStack() as opened:
        for sent in (b"", b"GET /", SCRAPE):
            for _ in range(50):
                opened.enter_context(at.connect(sent))
            assert at.answer(PROBE)[0] == 200
        assert threading.active_count() <= before + 2


def test_scrapes_that_wait_at_the_same_time_are_rendered_once() -> None:
    began, hold = threading.Semaphore(0), threading.Event()
    counted = Counter("counted", "Counted.", registry=None)
    rendered = []

    def collect() -> Iterable[Metric]:
        rendered.append(1)
        began.release()
        hold.wait(20)
        return counted.collect()

    with port(collect, max_connections=64) as at, ExitStack() as opened:
        opened.callback(hold.set)
        first = opened.enter_context(at.connect(SCRAPE))
        assert began.acquire(timeout=10)
        counted.inc()  # after the first scrape has begun
        others = [opened.enter_context(at.connect(SCRAPE)) for _ in range(20)]
        assert at.answer(PROBE)[0] == 200  # the scrapes have arrived before it
        hold.set()
        assert response(first)[0] == 200
        for each in others:
            assert "counted_total 1.0" in response(each)[2].decode()
        assert len(rendered) == 2


def test_a_scrape_that_is_closed_takes_the_rendering_from_no_other() -> None:
    began, hold = threading.Semaphore(0), threading.Event()

    def collect() -> Iterable[Metric]:
        began.release()
        hold.wait(20)
        return []

    with port(collect, max_connections=8) as at, ExitStack() as opened:
        opened.callback(hold.set)

        def connect(sent: bytes = b"") -> socket.socket:
            return opened.enter_context(at.connect(sent))

        connect(SCRAPE)
        assert began.acquire(timeout=10)
        closed, *_ = [connect(SCRAPE), *(connect() for _ in range(6))]
        kept = connect(SCRAPE)  # in place of the first one
        assert at.answer(PROBE)[0] == 200
        assert rest(closed) == b""
        hold.set()
        assert response(kept)[0] == 200


@pytest.mark.slow
def test_scrapes_take_a_tenth_of_a_processor_at_most() -> None:
    rendered = []

    def collect() -> Iterable[Metric]:
        rendered.append(1)
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass
        return []

    with port(collect) as at:
        began = time.monotonic()
        while time.monotonic() - began < 3:
            assert at.answer(SCRAPE)[0] == 200
        took = time.monotonic() - began
        # A burst of half a second, and one rendering that begins before its time is known.
        assert len(rendered) <= (0.5 + took / 10) / 0.1 + 2


def test_a_collector_that_fails_is_logged_and_the_next_scrape_succeeds() -> None:
    failing = [True]

    def collect() -> Iterable[Metric]:
        if failing:
            raise ValueError("s3cret")
        return []

    out = io.StringIO()
    with logs("info", "json", out) as lines, port(collect) as at:
        status, _, body = at.answer(SCRAPE)
        lines.flush()
        assert (status, body) == (500, b"a metric cannot be read; see the log\n")
        assert '"event":"metrics_not_rendered"' in out.getvalue()
        failing.clear()
        assert at.answer(SCRAPE)[0] == 200


HANGING = """
import socket, threading
from prometheus_client import CollectorRegistry, Gauge
from app.core.address import Address
from app.runtime.metrics_port import metrics_port

registry, began = CollectorRegistry(), threading.Event()
Gauge("hangs", "Hangs.", registry=registry).set_function(lambda: began.set() or threading.Event().wait())
with metrics_port(
    [Address("127.0.0.1", 0)], registry, ready=lambda: True, max_connections=8, timeout=60
) as [at]:
    connection = socket.create_connection((at.host, at.port))
    connection.sendall(b"GET /metrics HTTP/1.1\\r\\n\\r\\n")
    assert began.wait(20)
"""


def test_a_collector_that_hangs_does_not_hold_the_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING], cwd=ROOT, timeout=30, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_metrics_are_compressed_for_clients_that_accept_it() -> None:
    with port(large) as at:
        asked = SCRAPE.replace(b"Host", b"Accept-Encoding: gzip\r\nHost")
        _, headers, body = at.answer(asked)
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == at.answer(SCRAPE)[2]


def descriptors(pid: int) -> set[str]:
    return {each.name for each in Path(f"/proc/{pid}/fd").iterdir()}


def test_no_descriptor_is_left_open_by_connections_or_by_the_port() -> None:
    before = descriptors(os.getpid())
    with port(max_connections=8) as at, ExitStack() as opened:
        for _ in range(30):
            opened.enter_context(at.connect())
        assert at.answer(PROBE)[0] == 200
    until(lambda: descriptors(os.getpid()) <= before)


def metrics_of(server: ServerProcess) -> Port:
    return Port(*parse_address(server.metrics))


@pytest.mark.slow
@pytest.mark.parametrize(("left", "silent"), [(0, 0), (8, 60)])
def test_probes_are_answered_when_the_process_has_no_descriptors_left(left: int, silent: int) -> None:
    with server_process(APP_DRAIN_DELAY="0") as server, ExitStack() as opened:
        pid, at = server.process.pid, metrics_of(server)
        most = len(descriptors(pid)) + left
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        for _ in range(silent):
            opened.enter_context(at.connect())
        began, used = time.monotonic(), cpu(pid)
        for _ in range(15):
            assert at.answer(PROBE)[0] == 200
            time.sleep(0.2)
        assert (cpu(pid) - used) / (time.monotonic() - began) <= 0.1


@pytest.mark.slow
def test_a_port_that_cannot_accept_waits_and_accepts_later() -> None:
    with server_process(APP_DRAIN_DELAY="0") as server, ExitStack() as opened:
        pid, at = server.process.pid, metrics_of(server)
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, most))  # no descriptor can be used
        waiting = [opened.enter_context(at.connect(PROBE)) for _ in range(20)]
        began, used = time.monotonic(), cpu(pid)
        time.sleep(2)
        assert (cpu(pid) - used) / (time.monotonic() - began) <= 0.1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        for each in waiting:
            assert response(each)[0] == 200
