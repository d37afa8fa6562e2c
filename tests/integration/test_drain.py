"""The end of a drain: which calls it waits for, and what happens to connections without calls."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from hyperframe.frame import DataFrame, SettingsFrame
from structlog.testing import capture_logs

from app.runtime.drain import drain
from app.runtime.health import Health
from app.runtime.open_calls import open_calls
from tests.support.network import http2
from tests.support.waiting import until

PATH = "/any.Service/Method"


class Held:
    """A bare server whose calls end when `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self.server = grpc.server(self._pool, [_Handler(self.release)])
        self.target = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def drain(self, *, grace: float, idle: float) -> tuple[bool, list[Any]]:
        """Returns what `drain` does, and its log."""
        with capture_logs() as lines:
            finished = drain(self.server, Health([]), delay=0, grace=grace, idle=idle)
        return finished, lines


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, release: threading.Event) -> None:
        self._release = release

    def service(self, handler_call_details: Any) -> Any:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, _request: bytes, _context: Any) -> bytes:
        self._release.wait(20)
        return b"reply"


@contextmanager
def held() -> Iterator[Held]:
    at = Held()
    try:
        yield at
    finally:
        at.release.set()
        at.server.stop(0).wait(5)


def events(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines]


def test_a_call_that_outlives_the_idle_time_finishes_although_another_connection_is_only_open() -> None:
    with held() as at, http2.connected(at.target) as idle, grpc.insecure_channel(at.target) as channel:
        idle.wait_for(SettingsFrame)
        method: Any = channel.unary_unary(PATH)
        call = method.future(b"", timeout=20)
        until(lambda: open_calls(at.server) == 1)
        threading.Timer(1.0, at.release.set).start()
        began = time.monotonic()
        finished, lines = at.drain(grace=20, idle=0.3)
        assert 1 <= time.monotonic() - began < 5
        assert call.result(timeout=5) == b"reply"
    assert finished
    assert events(lines) == [
        "drain_started",
        "drain_refusing_new_calls",
        "drain_closing_connections",
        "drain_calls_ended",
    ]
    assert lines[1]["calls"] == 1


def test_a_reply_that_waits_for_its_client_to_read_is_a_call_in_flight() -> None:
    with held() as at, http2.connected(at.target) as reader:
        reader.wait_for(SettingsFrame)
        reader.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0}))
        at.release.set()
        reader.open_stream(1, PATH.encode())
        reader.send(DataFrame(1, bytes(5), flags=["END_STREAM"]))
        until(lambda: open_calls(at.server) == 1)
        finished, lines = at.drain(grace=1, idle=0.1)
    assert not finished
    assert events(lines)[2:] == ["drain_grace_over", "drain_calls_ended"]
    assert lines[2]["calls"] == 1


@pytest.mark.parametrize("grace", [0, 20])
def test_connections_without_calls_do_not_use_up_the_grace_and_are_not_reported_as_calls(
    grace: float,
) -> None:
    with held() as at, http2.connected(at.target) as idle:
        idle.wait_for(SettingsFrame)
        began = time.monotonic()
        finished, lines = at.drain(grace=grace, idle=0.5)
        assert time.monotonic() - began < 3
        idle.wait_for_end()
    assert finished
    assert "drain_grace_over" not in events(lines)


def test_the_drain_of_a_server_whose_clients_close_their_connections_does_not_wait() -> None:
    with held() as at, grpc.insecure_channel(at.target) as channel:
        at.release.set()
        call: Any = channel.unary_unary(PATH)
        assert call(b"", timeout=5) == b"reply"
        began = time.monotonic()
        finished, lines = at.drain(grace=20, idle=10)
        assert time.monotonic() - began < 5
    assert finished
    assert "drain_closing_connections" not in events(lines)


def test_a_version_of_grpc_that_hides_its_calls_drains_without_the_number() -> None:
    class Stopping:
        """Stops when it is stopped for the second time."""

        stopped = threading.Event()

        def stop(self, grace: float) -> threading.Event:
            if grace == 0:
                self.stopped.set()
            return self.stopped

    server: Any = Stopping()
    assert open_calls(server) is None
    with capture_logs() as lines:
        finished = drain(server, Health([]), delay=0, grace=0.5, idle=0.1)
    assert not finished
    assert events(lines)[2:] == ["drain_grace_over", "drain_calls_ended"]
