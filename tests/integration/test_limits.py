"""What is refused when the server has enough to do, and what is answered all the same."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.gen import probe_pb2 as pb
from tests.support.clients.status import code, outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

Status = grpc.StatusCode


@contextmanager
def occupied(at: ProbeServer, calls: int, streams: int) -> Iterator[None]:
    """Fills the server with calls that end with the context."""
    release = threading.Event()
    at.probe.on_call = lambda _request, _context: release.wait(20)
    held = [at.stub.Unary.future(pb.ProbeRequest()) for _ in range(calls)]
    open_streams = [at.stub.ServerStream(pb.ProbeRequest()) for _ in range(streams)]
    until(lambda: at.server.total("grpc_server_started_total") == calls + streams)
    try:
        yield
    finally:
        release.set()
        for call in held:
            call.result(timeout=5)
        for stream in open_streams:
            list(stream)


@pytest.mark.parametrize("method", CALLS)
def test_over_the_limit_a_call_is_refused_at_once_with_a_pushback(method: str) -> None:
    with probe_server(workers=2, max_calls=3, max_streams=2) as at:
        with occupied(at, calls=3, streams=2):
            for _ in range(3):  # a refused call takes no place, and leaves none
                began = time.monotonic()
                with pytest.raises(grpc.RpcError) as caught:
                    CALLS[method](at.stub)
                assert time.monotonic() - began < 0.5
                assert code(caught.value) is Status.RESOURCE_EXHAUSTED
                error: Any = caught.value
                assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
        until(lambda: len(at.server.calls()) == 8)
        assert at.seen() == sorted(
            [("Unary", "OK")] * 3 + [("ServerStream", "OK")] * 2 + [(method, "ResourceExhausted")] * 3
        )


def test_a_call_leaves_its_place_when_it_ends_however_it_ends() -> None:
    with probe_server(workers=2, max_calls=2, max_streams=2) as at:

        def fail(_request: Any, _context: Any) -> None:
            raise ValueError

        for _ in range(5):
            at.probe.on_call = fail
            assert outcome(lambda: CALLS["Unary"](at.stub)) is Status.INTERNAL
            assert outcome(lambda: CALLS["BidiStream"](at.stub)) is Status.INTERNAL
            refused = outcome(lambda: list(at.stub.BidiStream(iter([]), timeout=0.01)))
            assert refused is not Status.RESOURCE_EXHAUSTED
        until(lambda: len(at.server.calls()) == 15)
        at.probe.on_call = lambda _request, _context: None
        for method, call in CALLS.items():
            for _ in range(3):
                assert outcome(partial(call, at.stub)) is Status.OK, method


def test_health_unknown_methods_and_metrics_answer_while_every_worker_is_busy() -> None:
    with probe_server(workers=2, max_calls=2, max_streams=2) as at, occupied(at, calls=2, streams=2):
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        began = time.monotonic()
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=1).status == 1
        assert stub.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=1).status == 1
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="probe.Probe"), timeout=5)
        assert next(watch).status == 1
        assert (
            outcome(lambda: at.channel.unary_unary("/no.Such/Method")(b"", timeout=1)) is Status.UNIMPLEMENTED
        )
        assert at.server.get("/readyz")[0] == 200
        assert time.monotonic() - began < 1
        watch.cancel()


def test_watches_have_a_limit_of_their_own_and_leave_health_checks_alone() -> None:
    with probe_server(max_watches=4) as at:
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=20) for _ in range(4)]
        for watch in watches:
            assert next(watch).status == 1
        assert outcome(lambda: next(stub.Watch(health_pb2.HealthCheckRequest()))) is Status.RESOURCE_EXHAUSTED
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=1).status == 1
        for watch in watches:
            watch.cancel()
        until(
            lambda: outcome(lambda: next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=5))) is Status.OK
        )


def test_watches_that_come_and_go_do_not_stop_the_server() -> None:
    """The non-blocking Watch of grpc deadlocks the whole server within a few of these."""
    with probe_server() as at:
        stop = time.monotonic() + 2

        def churn() -> None:
            with grpc.insecure_channel(
                at.server.target, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                while time.monotonic() < stop:
                    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)
                    next(watch)
                    watch.cancel()

        threads = [threading.Thread(target=churn) for _ in range(4)]
        for thread in threads:
            thread.start()
        while time.monotonic() < stop:
            assert at.stub.Unary(pb.ProbeRequest(), timeout=2).text == "reply"
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def test_streams_have_threads_of_their_own_and_never_starve_unary_calls() -> None:
    with probe_server(workers=1, max_streams=4) as at:
        release = threading.Event()
        at.probe.between = lambda _context: release.wait(20)
        streams = [at.stub.ServerStream(pb.ProbeRequest()) for _ in range(4)]
        for stream in streams:
            next(stream)
        assert at.stub.Unary(pb.ProbeRequest(), timeout=2).text == "reply"
        release.set()
        for stream in streams:
            assert len(list(stream)) == 1


@pytest.mark.parametrize("method", ["Unary", "ClientStream"])
def test_large_messages_have_a_limit_in_all_and_small_ones_are_not_counted(method: str) -> None:
    with probe_server(workers=8, max_held_bytes=250_000) as at:

        def call(size: int) -> Any:
            request = pb.ProbeRequest(text="a" * size)
            if method == "Unary":
                return at.stub.Unary(request, timeout=5)
            return at.stub.ClientStream(iter([pb.ProbeRequest(), request]), timeout=5)

        release, entered = threading.Event(), threading.Semaphore(0)

        def hold(_request: Any, _context: Any) -> None:
            entered.release()
            release.wait(20)

        at.probe.on_call = hold
        held = [at.stub.Unary.future(pb.ProbeRequest(text="a" * 100_000), timeout=20) for _ in range(2)]
        assert entered.acquire(timeout=5)
        assert entered.acquire(timeout=5)
        at.probe.on_call = lambda request, _context: method == "ClientStream" and list(request)
        for _ in range(3):
            assert outcome(lambda: call(1000)) is Status.OK
            assert outcome(lambda: call(100_000)) is Status.RESOURCE_EXHAUSTED
        assert at.server.total("grpc_server_refused_total", reason="limit") == 3
        release.set()
        for one in held:
            one.result(timeout=5)
        for _ in range(5):
            assert outcome(lambda: call(100_000)) is Status.OK
