"""Calls whose first message is late, or does not come at all, and what they leave to the others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.interceptors import first_message
from app.interceptors.early_streams import EarlyStreams
from tests.gen.probe_pb2 import ProbeReply, ProbeRequest
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS, METHODS, NAME, SERVER_STREAMS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

Status = grpc.StatusCode

ONE_MESSAGE = ("Unary", "ServerStream")
STREAMS = ("ClientStream", "BidiStream")
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

# Settings under which nothing but the test ends a half call.
PATIENT: Any = {"first_message_timeout": 60, "max_waiting_calls": 1000}


class Half:
    """A call of which nothing but the headers is sent, until `go_on`."""

    def __init__(self, channel: Any, path: str) -> None:
        """`path` may be the name of a method of the probe."""
        self._go_on = threading.Event()
        self._then: tuple[bytes, ...] = ()
        self._streamed = path in {*SERVER_STREAMS, WATCH, REFLECTION}
        path = f"/{NAME}/{path}" if path in METHODS else path
        method = channel.stream_stream(path) if self._streamed else channel.stream_unary(path).future
        self.call = method(self._messages(), timeout=20)

    def _messages(self) -> Iterator[bytes]:
        self._go_on.wait(20)
        yield from self._then

    def go_on(self, *messages: bytes) -> "Half":
        """Sends the messages, and closes the client's side."""
        self._then = messages
        self._go_on.set()
        return self

    def open(self) -> bool:
        return bool(self.call.is_active())

    def code(self) -> Status:
        """Waits for its end."""
        return outcome(lambda: list(self.call) if self._streamed else self.call.result(10))


@contextmanager
def half(at: ProbeServer, path: str, number: int) -> Iterator[list[Half]]:
    """So many half calls, which have arrived; none of them outlives the context."""
    before = at.server.total("grpc_server_started_total")
    calls = [Half(at.channel, path) for _ in range(number)]
    until(lambda: at.server.total("grpc_server_started_total") == before + number)
    try:
        yield calls
    finally:
        for one in calls:
            one.call.cancel()
            one.go_on()


def answered(at: ProbeServer) -> list[str]:
    """The methods of the probe that are answered at once."""
    return [method for method in METHODS if outcome(partial(CALLS[method], at.stub, timeout=2)) is Status.OK]


def written(at: ProbeServer, number: int) -> list[tuple[str, str]]:
    """Method and code of each call, once there are so many."""
    until(lambda: len(at.server.calls()) == number)
    return at.seen()


@pytest.mark.parametrize("path", [*ONE_MESSAGE, CHECK, WATCH])
def test_it_ends_in_time_and_is_written_down(path: str) -> None:
    with probe_server(first_message_timeout=0.3) as at:
        began = time.monotonic()
        with half(at, path, 3) as calls:
            assert [one.code() for one in calls] == [Status.DEADLINE_EXCEEDED] * 3
        assert 0.3 <= time.monotonic() - began < 3
        assert calls[0].call.details() == "no request message arrived within 0.3 s"
        assert at.server.total("grpc_server_refused_total", reason="first_message") == 3
        if path in ONE_MESSAGE:
            assert at.seen() == [(path, "DeadlineExceeded")] * 3


@pytest.mark.parametrize("path", [*METHODS, CHECK, WATCH, REFLECTION])
def test_it_takes_nothing_from_the_others(path: str) -> None:
    with (
        probe_server(workers=1, max_calls=1, max_streams=4, max_watches=1, **PATIENT) as at,
        half(at, path, 30) as calls,
    ):
        for _ in range(3):
            assert answered(at) == list(METHODS)
        health: Any = health_pb2_grpc.HealthStub(at.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=2).status == 1
        assert next(health.Watch(health_pb2.HealthCheckRequest(), timeout=2)).status == 1
        assert sum(one.open() for one in calls) >= (30 if path in {*ONE_MESSAGE, CHECK, WATCH} else 4)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_served_when_its_message_comes(method: str) -> None:
    with probe_server(**PATIENT) as at:
        with half(at, method, 3) as calls:
            time.sleep(0.1)
            assert [one.go_on(b"").code() for one in calls] == [Status.OK] * 3
        assert written(at, 3) == [(method, "OK")] * 3


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_may_end_without_a_message(method: str) -> None:
    with probe_server(**PATIENT) as at:
        with half(at, method, 3) as calls:
            assert [one.go_on().code() for one in calls] == [Status.OK] * 3
        assert written(at, 3) == [(method, "OK")] * 3


@pytest.mark.parametrize("method", ONE_MESSAGE)
def test_a_call_of_one_message_that_has_none_is_unimplemented(method: str) -> None:
    with probe_server(workers=1, max_calls=1, **PATIENT) as at:
        with half(at, method, 3) as calls:
            assert [one.go_on().code() for one in calls] == [Status.UNIMPLEMENTED] * 3
        assert written(at, 3) == [(method, "Unimplemented")] * 3


def test_calls_without_a_message_need_no_worker() -> None:
    with probe_server(workers=1, **PATIENT) as at:
        running, release = threading.Event(), threading.Event()

        def hold(_request: Any, _context: Any) -> None:
            running.set()
            release.wait(20)

        at.probe.on_call = hold
        held = at.stub.Unary.future(ProbeRequest(), timeout=20)
        assert running.wait(5)
        with half(at, "Unary", 3) as calls:
            assert [one.go_on().code() for one in calls] == [Status.UNIMPLEMENTED] * 3
        assert not held.done()
        release.set()
        held.result(5)


@pytest.mark.parametrize("method", METHODS)
def test_its_client_may_leave(method: str) -> None:
    with probe_server(max_calls=4, max_streams=4, **PATIENT) as at:
        with half(at, method, 3) as calls:
            for one in calls:
                one.call.cancel()
        assert written(at, 3) == [(method, "Canceled")] * 3
        assert answered(at) == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_past_the_limit_the_oldest_ends(method: str) -> None:
    with (
        probe_server(max_streams=4, first_message_timeout=60, max_waiting_calls=4) as at,
        half(at, method, 4) as old,
    ):
        if method == "BidiStream":
            old[:0] = [Half(at.channel, method)]  # one has a thread, and waits there
        time.sleep(0.05)
        with half(at, method, 2) as young:
            until(lambda: sum(one.open() for one in old) == len(old) - 2)
            assert all(one.open() for one in young)
            assert {one.code() for one in old if not one.open()} == {Status.DEADLINE_EXCEEDED}


def test_calls_that_wait_do_not_count_against_the_limit_until_their_message_comes() -> None:
    with probe_server(workers=2, max_calls=2, **PATIENT) as at:
        release = threading.Event()
        at.probe.on_call = lambda _request, _context: release.wait(20)
        with half(at, "Unary", 5) as calls:
            for one in calls:
                one.go_on(b"")
            until(lambda: sum(not one.open() for one in calls) == 3)
            release.set()
            codes = sorted(one.code().name for one in calls)
            assert codes == ["OK"] * 2 + ["RESOURCE_EXHAUSTED"] * 3
        assert answered(at) == list(METHODS)


def test_the_handler_of_a_stream_both_ways_may_answer_before_the_first_message() -> None:
    with probe_server(**PATIENT) as at:
        at.probe.on_call = lambda _requests, _context: None
        with half(at, "BidiStream", 1) as [one]:
            assert ProbeReply.FromString(next(one.call)).text == "reply"
            assert one.go_on(b"").code() is Status.OK


def test_a_silent_stream_gives_up_its_thread_when_another_wants_it() -> None:
    with probe_server(max_streams=4, first_message_timeout=0.2) as at, half(at, "BidiStream", 1) as [first]:
        time.sleep(0.5)
        assert first.open()
        at.probe.on_call = lambda _requests, _context: None
        with half(at, "BidiStream", 1) as [second]:
            assert ProbeReply.FromString(next(second.call)).text == "reply"
            assert first.code() is Status.CANCELLED


def test_a_stream_that_is_used_keeps_its_thread() -> None:
    """Whether its client has sent, or its handler."""
    with probe_server(max_streams=8, first_message_timeout=0.1) as at:
        at.probe.between = lambda context: context.add_callback(gone.set) and gone.wait(20)
        gone = threading.Event()
        at.probe.on_call = lambda requests, _context: next(requests)
        read = at.stub.BidiStream(iter([ProbeRequest()]), timeout=20)
        next(read)
        at.probe.on_call = lambda _requests, _context: None
        with half(at, "BidiStream", 1) as [answering]:
            next(answering.call)
            time.sleep(0.3)
            with half(at, "BidiStream", 4) as others:
                assert [ProbeReply.FromString(next(one.call)).text for one in others] == ["reply"] * 4
                assert answering.open()
                assert read.is_active()
        gone.set()
        read.cancel()


def test_where_grpc_is_not_known_calls_are_served_by_threads_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_message, "read_ahead", lambda _arguments, _received: False)
    with probe_server(workers=2, max_calls=2, max_streams=2) as at:
        assert answered(at) == list(METHODS)
        with half(at, "Unary", 2):
            assert outcome(lambda: CALLS["Unary"](at.stub)) is Status.RESOURCE_EXHAUSTED
        until(lambda: answered(at) == list(METHODS))


def test_a_drain_does_not_wait_for_calls_longer_than_they_may_wait_for_their_message() -> None:
    with probe_server(first_message_timeout=0.5, drain_grace=20) as at:
        calls = [Half(at.channel, "Unary") for _ in range(3)]
        until(lambda: at.server.total("grpc_server_started_total") == 3)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    for one in calls:
        assert one.go_on().code() is Status.DEADLINE_EXCEEDED


def test_places_for_early_streams_are_kept_by_those_that_have_just_come() -> None:
    class Stream:
        accepted_at = time.monotonic()
        began, sent, code_label, started, share = False, 0, "", True, ""

    early, first, second = EarlyStreams(1, 60), Stream(), Stream()
    enter: Callable[[Any], bool] = early.enter
    assert enter(first)
    assert not enter(second)
    first.code_label = "OK"
    assert enter(second)
