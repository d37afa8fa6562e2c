"""What the metrics port says of how full a server is, and of its drain."""

import re
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.runtime.health import Health
from tests.gen import probe_pb2 as pb
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import server_process
from tests.support.servers.server import Server
from tests.support.waiting import until

LIMITS = {
    "calls": 5,
    "streams": 2,
    "health_checks": 7,
    "health_watches": 6,
    "reflection_streams": 32,
}


def by_kind(server: Server, metric: str) -> dict[str, float]:
    return {labels["kind"]: value for labels, value in server.samples(metric)}


def test_each_limit_is_shown_with_how_much_of_it_is_used() -> None:
    with probe_server(
        workers=2, max_queue_time=60, max_calls=5, max_streams=2, max_checks=7, max_watches=6
    ) as at:
        release = threading.Event()
        at.probe.on_call = lambda _request, _context: release.wait(20)
        assert by_kind(at.server, "grpc_server_concurrency_limit") == LIMITS
        assert at.server.total("grpc_server_workers") == 2
        held = [at.stub.Unary.future(pb.ProbeRequest()) for _ in range(3)]
        stream = at.stub.ServerStream(pb.ProbeRequest())
        wanted = dict.fromkeys(LIMITS, 0) | {"calls": 3, "streams": 1}
        until(lambda: by_kind(at.server, "grpc_server_concurrency") == wanted)
        until(lambda: at.server.total("grpc_server_queued") == 1)
        release.set()
        for call in held:
            call.result(timeout=5)
        list(stream)
        until(lambda: not any(by_kind(at.server, "grpc_server_concurrency").values()))
        assert at.server.total("grpc_server_queued") == 0


def test_a_process_shows_that_it_drains_until_it_ends() -> None:
    with server_process(APP_DRAIN_DELAY="20") as draining:
        [address] = draining.serving["metrics"]
        server = Scraped(address)
        assert server.gauge("grpc_server_draining") == 0
        assert server.gauge("grpc_server_ready") == 1
        draining.process.terminate()
        draining.wait_for("drain_started")
        assert server.gauge("grpc_server_draining") == 1
        assert server.gauge("grpc_server_ready") == 0


def test_a_server_that_is_not_ready_yet_does_not_drain() -> None:
    assert not Health([]).draining


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="not Linux")
def test_the_threads_of_the_process_are_counted(server: Server) -> None:
    threads = server.total("process_threads")
    assert threads >= threading.active_count()
    assert threads == pytest.approx(len(list(Path("/proc/self/task").iterdir())), abs=5)


class Scraped:
    """The metrics of a server in another process."""

    def __init__(self, address: str) -> None:
        self._address = address

    def gauge(self, name: str) -> float:
        with urlopen(self._address, timeout=5) as answer:  # noqa: S310 - loopback
            [value] = re.findall(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(value)
