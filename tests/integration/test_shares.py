"""What one client that takes all that it can get leaves to the others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.network.proxy import Proxy
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.server import TOKEN
from tests.support.waiting import until

Status = grpc.StatusCode


@contextmanager
def elsewhere(at: ProbeServer) -> Iterator[Any]:
    """A channel whose client has another address."""
    with Proxy(at.server.target, source="127.0.0.2") as proxy, channel(proxy.target) as made:
        yield made


def channel(target: str) -> Any:
    return grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])


@contextmanager
def holding(at: ProbeServer, calls: int, streams: int, metadata: Any = ()) -> Iterator[list[Any]]:
    """So many calls and streams of the first client, until the context ends."""
    at.probe.on_call = lambda _request, context: context.wait(20)
    before = at.server.total("grpc_server_started_total")
    how: Any = {"timeout": 20, "metadata": metadata}
    held = [at.stub.Unary.future(pb.ProbeRequest(), **how) for _ in range(calls)]
    held += [at.stub.ServerStream(pb.ProbeRequest(), **how) for _ in range(streams)]
    until(lambda: at.server.total("grpc_server_started_total") == before + calls + streams)
    at.probe.on_call = lambda _request, _context: None
    try:
        yield held
    finally:
        for one in held:
            one.cancel()


def kept(stub: Any, method: str, number: int) -> list[Any]:
    """Calls of another client, which their handler holds until they are cancelled."""
    if method == "Unary":
        return [stub.Unary.future(pb.ProbeRequest(text="hold"), timeout=20) for _ in range(number)]
    return [stub.ServerStream(pb.ProbeRequest(text="hold"), timeout=20) for _ in range(number)]


def test_a_client_alone_has_all_places() -> None:
    with probe_server(workers=8, max_calls=4, max_streams=4) as at, holding(at, 4, 4):
        for call in CALLS.values():
            assert outcome(partial(call, at.stub)) is Status.RESOURCE_EXHAUSTED
        assert at.server.total("grpc_server_refused_total", reason="limit") == 4
        assert at.server.total("grpc_server_refused_total", reason="share") == 0


def test_another_client_is_served_while_one_holds_all_places() -> None:
    with (
        probe_server(workers=8, max_calls=4, max_streams=4) as at,
        holding(at, 4, 4),
        elsewhere(at) as other,
    ):
        stub = probe_pb2_grpc.ProbeStub(other)
        for call in CALLS.values():
            for _ in range(3):
                assert outcome(partial(call, stub)) is Status.OK


@pytest.mark.parametrize("method", ["Unary", "ServerStream"])
def test_a_client_that_has_its_share_is_refused_while_another_needs_places(method: str) -> None:
    with (
        probe_server(workers=8, max_calls=4, max_streams=4) as at,
        holding(at, 4, 4),
        elsewhere(at) as other,
    ):
        at.probe.on_call = lambda _request, context: context.wait(20)
        [one] = kept(probe_pb2_grpc.ProbeStub(other), method, 1)
        what = "calls" if method == "Unary" else "streams"
        until(lambda: at.server.total("grpc_server_in_flight") == 9)
        with pytest.raises(
            grpc.RpcError, match=rf"too many concurrent {what} of this client \(share 2\)"
        ) as caught:
            CALLS[method](at.stub)
        error: Any = caught.value
        assert error.code() is Status.RESOURCE_EXHAUSTED
        assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
        assert at.server.total("grpc_server_refused_total", reason="share") == 1
        # The reserve is a quarter: a second call of the other finds no place.
        assert outcome(partial(CALLS[method], probe_pb2_grpc.ProbeStub(other))) is Status.RESOURCE_EXHAUSTED
        assert at.server.total("grpc_server_refused_total", reason="limit") == 1
        one.cancel()


def test_a_free_place_goes_to_the_client_that_has_less_than_its_share() -> None:
    with probe_server(workers=8, max_streams=4) as at, elsewhere(at) as other:
        stub = probe_pb2_grpc.ProbeStub(other)
        with holding(at, 0, 4) as held:
            for one in held[:2]:
                one.cancel()
            until(lambda: at.server.total("grpc_server_in_flight") == 2)
            at.probe.on_call = lambda _request, context: context.wait(20)
            theirs = kept(stub, "ServerStream", 2)
            until(lambda: at.server.total("grpc_server_in_flight") == 4)
            assert all(one.is_active() for one in theirs)
            assert outcome(partial(CALLS["ServerStream"], at.stub)) is Status.RESOURCE_EXHAUSTED
            for one in theirs:
                one.cancel()


def test_shares_can_be_turned_off() -> None:
    with (
        probe_server(workers=8, max_calls=4, max_streams=4, share_by="none") as at,
        holding(at, 4, 4),
        elsewhere(at) as other,
    ):
        for call in CALLS.values():
            result = outcome(partial(call, probe_pb2_grpc.ProbeStub(other)))
            assert result is Status.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(("share_by", "served"), [("principal", True), ("address", False)])
def test_callers_with_tokens_of_their_own_have_a_share_each(
    tmp_path: Path, share_by: str, served: bool
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ann:{TOKEN}\nbob:{TOKEN}-of-bob\n")
    ann, bob = ((("authorization", f"Bearer {token}"),) for token in (TOKEN, f"{TOKEN}-of-bob"))
    auth: Any = {"auth_mode": "tokens", "auth_tokens_file": file, "share_by": share_by}
    with probe_server(workers=8, max_calls=4, **auth) as at, holding(at, 4, 0, ann):
        found = outcome(lambda: at.stub.Unary(pb.ProbeRequest(), metadata=bob, timeout=5))
        assert found is (Status.OK if served else Status.RESOURCE_EXHAUSTED)
        # A token that is not valid does not make a client of its own.
        wrong = (("authorization", f"Bearer {TOKEN}-of-nobody"),)
        with elsewhere(at) as other:
            stub: Any = probe_pb2_grpc.ProbeStub(other)
            refused = outcome(lambda: stub.Unary(pb.ProbeRequest(), metadata=wrong, timeout=5))
            assert refused is Status.UNAUTHENTICATED


def test_watches_and_checks_of_one_client_leave_room_for_those_of_another() -> None:
    with probe_server(max_watches=4) as at, elsewhere(at) as other:
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        watch: Callable[..., Any] = stub.Watch
        watches = [watch(health_pb2.HealthCheckRequest(), timeout=20) for _ in range(4)]
        assert [next(one).status for one in watches] == [1] * 4
        assert outcome(lambda: next(watch(health_pb2.HealthCheckRequest()))) is Status.RESOURCE_EXHAUSTED
        theirs: Any = health_pb2_grpc.HealthStub(other)
        assert next(theirs.Watch(health_pb2.HealthCheckRequest(), timeout=5)).status == 1
        for one in watches:
            one.cancel()


def test_a_silent_stream_gives_up_its_thread_after_a_second_for_a_client_that_has_none() -> None:
    with probe_server(max_streams=8, first_message_timeout=60) as at, elsewhere(at) as other:
        silent = [at.stub.BidiStream(iter(never()), timeout=20) for _ in range(2)]  # all early places
        until(lambda: at.server.total("grpc_server_in_flight") == 2)
        time.sleep(1.1)
        at.probe.on_call = lambda _requests, _context: None
        stub: Any = probe_pb2_grpc.ProbeStub(other)
        began = time.monotonic()
        assert next(stub.BidiStream(iter(never()), timeout=5)).text == "reply"
        assert time.monotonic() - began < 1
        until(lambda: sorted(one.is_active() for one in silent) == [False, True])
        for one in silent:
            one.cancel()


def never() -> Iterator[pb.ProbeRequest]:
    threading.Event().wait(3)
    yield from ()


def test_where_too_many_calls_wait_those_of_the_client_that_has_most_end() -> None:
    with probe_server(max_waiting_calls=4, first_message_timeout=60) as at, elsewhere(at) as other:

        def half(on: Any) -> Any:
            return on.stream_unary("/probe.Probe/Unary").future(iter(never()), timeout=20)

        first = half(other)  # the oldest
        until(lambda: at.server.total("grpc_server_started_total") == 1)
        many = [half(at.channel) for _ in range(6)]
        until(lambda: sum(one.done() for one in many) == 3)
        time.sleep(0.3)
        assert not first.done()
        for one in (first, *many):
            one.cancel()


def test_another_client_is_served_while_the_calls_of_one_hold_all_workers() -> None:
    with probe_server(workers=2) as at, holding(at, 10, 0), elsewhere(at) as other:
        stub: Any = probe_pb2_grpc.ProbeStub(other)
        for _ in range(3):
            began = time.monotonic()
            assert stub.Unary(pb.ProbeRequest(), timeout=5).text == "reply"
            assert time.monotonic() - began < 1
