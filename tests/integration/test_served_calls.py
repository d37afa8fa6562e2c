"""Calls made by handlers: what is propagated from the served call."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from app.client.channel import channel as open_channel
from app.core.errors import CallEnded
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import code, outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.process import ROOT, environment
from tests.support.waiting import until

Status = grpc.StatusCode
each_method = pytest.mark.parametrize("method", CALLS)

# How a handler may call, without reading a stream to its end. The first four wait.
MADE: dict[str, Callable[..., Any]] = CALLS | {
    "Unary.future": lambda stub, **how: stub.Unary.future(pb.ProbeRequest(), **how).result(),
    "ClientStream.future": lambda stub, **how: stub.ClientStream.future(
        iter([pb.ProbeRequest()]), **how
    ).result(),
    "Unary.with_call": lambda stub, **how: stub.Unary.with_call(pb.ProbeRequest(), **how)[0],
}


class Two:
    """A service `front`, whose handler calls `back` as a test tells it to."""

    def __init__(self, front: ProbeServer, back: ProbeServer, channel: grpc.Channel) -> None:
        self.front = front
        self.back = back
        self.channel = channel
        self.to_back: Any = probe_pb2_grpc.ProbeStub(channel)

    def calls(self, made: Callable[[Any], Any]) -> None:
        """What the handlers of `front` do; they are given the stub of `back`."""
        self.front.probe.on_call = lambda *_: made(self.to_back)


@contextmanager
def chained(**how: Any) -> Iterator[Two]:
    with probe_server() as back, open_channel(back.server.target, **how) as channel, probe_server() as front:
        yield Two(front, back, channel)


@pytest.fixture(scope="module")
def both() -> Iterator[Two]:
    with chained() as opened:
        yield opened


@pytest.fixture
def two(both: Two) -> Two:
    for side in (both.front, both.back):
        side.probe.__init__()  # type: ignore[misc]  # its fields are all that a test may have changed
    return both


def request_ids(at: ProbeServer) -> list[str]:
    return [line["request_id"] for line in at.server.calls()]


# Request ids


@pytest.mark.parametrize("made", MADE)
def test_an_outgoing_call_has_the_request_id_of_the_served_one(two: Two, made: str) -> None:
    two.calls(MADE[made])
    CALLS["Unary"](two.front.stub, metadata=(("x-request-id", f"from-{made}"),))
    assert request_ids(two.back)[-1] == request_ids(two.front)[-1] == f"from-{made}"


@each_method
def test_handlers_of_every_arity_propagate_the_request_id(two: Two, method: str) -> None:
    two.calls(CALLS["Unary"])
    CALLS[method](two.front.stub, metadata=(("x-request-id", f"to-{method}"),))
    assert request_ids(two.back)[-1] == f"to-{method}"


def test_a_generated_request_id_is_propagated(two: Two) -> None:
    two.calls(CALLS["Unary"])
    CALLS["Unary"](two.front.stub)
    assert request_ids(two.back)[-1] == request_ids(two.front)[-1] != ""


def test_the_callers_own_request_id_is_kept(two: Two) -> None:
    two.calls(lambda stub: CALLS["Unary"](stub, metadata=(("x-request-id", "own"),)))
    CALLS["Unary"](two.front.stub, metadata=(("x-request-id", "served"),))
    assert request_ids(two.back)[-1] == "own"


def test_without_a_served_call_nothing_is_added(two: Two) -> None:
    seen: list[Any] = []
    two.back.probe.on_call = lambda _, context: seen.append(
        (context.headers, context.client_time_remaining())
    )
    CALLS["Unary"](two.to_back)
    [(headers, left)] = seen
    assert "x-request-id" not in headers
    assert left is None


# Deadlines


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize(
    ("served", "own", "expected"),
    [(20, None, 20), (20, 60, 20), (60, 20, 20), (None, 20, 20), (None, None, 300)],
)
def test_an_outgoing_call_has_at_most_the_time_that_is_left(
    two: Two, made: str, served: float | None, own: float | None, *, expected: float
) -> None:
    """Without a deadline of its client's, a served call has the server's limit of 300 s."""
    left: list[Any] = []
    two.back.probe.on_call = lambda _, context: left.append(context.client_time_remaining())
    two.calls(lambda stub: MADE[made](stub, timeout=own))
    CALLS["Unary"](two.front.stub, timeout=served)
    assert left == [pytest.approx(expected, rel=0.1)]


def test_the_channels_timeout_applies_if_it_is_shorter() -> None:
    left: list[Any] = []
    with chained(timeout=20) as two:
        two.back.probe.on_call = lambda _, context: left.append(context.client_time_remaining())
        two.calls(CALLS["Unary"])
        for served in (60, 10):
            CALLS["Unary"](two.front.stub, timeout=served)
        CALLS["Unary"](two.to_back)
    assert [round(one) for one in left] == [20, 10, 20]


def test_a_deadline_that_passes_ends_both_calls(two: Two) -> None:
    ended = threading.Event()
    seen: list[Status] = []

    def hold(_: Any, context: Any) -> None:
        with pytest.raises(CallEnded):
            context.wait(20)
        ended.set()

    two.back.probe.on_call = hold
    two.calls(lambda stub: seen.append(outcome(lambda: CALLS["Unary"](stub, timeout=60))))
    assert outcome(lambda: CALLS["Unary"](two.front.stub, timeout=0.2)) is Status.DEADLINE_EXCEEDED
    assert ended.wait(5)
    assert until(lambda: seen)[0] in {Status.DEADLINE_EXCEEDED, Status.CANCELLED}


# Cancellation


class Held:
    """A handler of `back` that is held until its call is over."""

    def __init__(self, two: Two) -> None:
        self.begun = threading.Event()
        self.over = threading.Event()
        two.back.probe.on_call = self._hold

    def _hold(self, _: Any, context: Any) -> None:
        self.begun.set()
        try:
            context.wait(20)
        except CallEnded:
            self.over.set()


@pytest.mark.parametrize("made", MADE)
def test_a_served_call_that_is_cancelled_frees_its_handler_and_cancels_what_it_waits_for(
    two: Two, made: str
) -> None:
    held = Held(two)
    raised: list[BaseException] = []

    def call(stub: Any) -> None:
        try:
            MADE[made](stub)
        except BaseException as error:
            raised.append(error)
            raise

    two.calls(call)
    served = two.front.stub.Unary.future(pb.ProbeRequest())
    assert held.begun.wait(5)
    served.cancel()
    assert held.over.wait(5)
    [error] = until(lambda: raised)
    if made.endswith("future"):
        assert isinstance(error, grpc.FutureCancelledError)
    else:
        assert isinstance(error, grpc.RpcError)
        assert code(error) is Status.CANCELLED
        assert "CANCELLED" in str(error)
    until(lambda: two.front.server.calls()[-1]["code"] == "Canceled")


@each_method
def test_an_open_stream_ends_with_the_served_call(two: Two, method: str) -> None:
    kept: list[Any] = []
    two.back.probe.between = lambda context: context.wait(20)

    def call(stub: Any) -> None:
        kept.append(stub.ServerStream(pb.ProbeRequest()))
        next(kept[0])

    two.calls(call)
    before = len(two.back.server.calls())
    CALLS[method](two.front.stub)
    assert kept[0].code() is Status.CANCELLED
    [line] = until(lambda: two.back.server.calls()[before:])
    assert line["code"] == "Canceled"


def test_a_call_started_after_the_cancellation_is_cancelled_at_once(two: Two) -> None:
    two.back.probe.on_call = lambda _, context: context.wait(20)
    begun, seen = threading.Event(), list[Status]()

    def call(_: Any, context: Any) -> None:
        begun.set()
        until(lambda: not context.is_active())
        seen.extend(outcome(partial(MADE[made], two.to_back)) for made in CALLS)

    two.front.probe.on_call = call
    served = two.front.stub.Unary.future(pb.ProbeRequest())
    assert begun.wait(5)
    served.cancel()
    assert until(lambda: len(seen) == 4 and seen) == [Status.CANCELLED] * 4


def test_a_served_call_has_one_callback_for_all_its_outgoing_calls(two: Two) -> None:
    asked: list[Callable[[], None]] = []

    def call(_: Any, context: Any) -> None:
        add = context.add_callback

        def counted(callback: Callable[[], None]) -> Any:
            asked.append(callback)
            return add(callback)

        context.add_callback = counted
        for _number in range(20):
            CALLS["Unary"](two.to_back)

    two.front.probe.on_call = call
    CALLS["Unary"](two.front.stub)
    assert len(asked) == 1


def test_calls_of_another_thread_are_independent_of_the_served_call(two: Two) -> None:
    done: list[Status] = []
    go = threading.Event()

    def later() -> None:
        assert go.wait(10)
        done.append(outcome(lambda: CALLS["Unary"](two.to_back)))

    thread = threading.Thread(target=later)
    two.calls(lambda _: thread.start())
    CALLS["Unary"](two.front.stub)
    go.set()
    thread.join(10)
    assert done == [Status.OK]


@pytest.mark.parametrize("made", MADE)
def test_an_error_of_the_other_service_reaches_the_handler_unchanged(two: Two, made: str) -> None:
    caught: list[Any] = []

    def refuse(_: Any, context: Any) -> None:
        context.set_trailing_metadata((("why", "so"),))
        context.abort(Status.NOT_FOUND, "no such author")

    def call(stub: Any) -> None:
        try:
            MADE[made](stub)
        except grpc.RpcError as error:
            caught.append(error)

    two.back.probe.on_call = refuse
    two.calls(call)
    CALLS["Unary"](two.front.stub)
    assert (caught[0].code(), caught[0].details()) == (Status.NOT_FOUND, "no such author")
    assert ("why", "so") in tuple(caught[0].trailing_metadata())


def test_an_outgoing_call_has_grpcs_whole_interface(two: Two) -> None:
    found: list[Any] = []
    two.back.probe.on_call = lambda _, context: context.send_initial_metadata((("first", "1"),))
    two.calls(lambda stub: found.append(stub.Unary.with_call(pb.ProbeRequest())))
    CALLS["Unary"](two.front.stub)
    [(reply, call)] = found
    assert reply == pb.ProbeReply(text="reply")
    assert call.code() is Status.OK
    assert ("first", "1") in tuple(call.initial_metadata())


@pytest.mark.parametrize("made", ["Unary", "ServerStream"])
def test_spans_and_metrics_agree_on_a_call_cancelled_with_the_served_one(made: str) -> None:
    registry = CollectorRegistry()
    with chained(metrics=registry, tracing=TracerProvider(shutdown_on_exit=False)) as two:
        held = Held(two)
        two.calls(CALLS[made])
        served = two.front.stub.Unary.future(pb.ProbeRequest())
        assert held.begun.wait(5)
        served.cancel()
        assert held.over.wait(5)

        def cancelled() -> float:
            return sum(
                sample.value
                for family in registry.collect()
                for sample in family.samples
                if sample.name == "grpc_client_handled_total" and sample.labels["grpc_code"] == "Canceled"
            )

        until(lambda: cancelled() == 1)


# A closed channel


CLOSED = """
import sys
from app.client.channel import channel
from tests.gen import probe_pb2 as pb, probe_pb2_grpc

opened = channel(sys.argv[1])
stub = probe_pb2_grpc.ProbeStub(opened)
opened.close()
opened.close()
for call in (
    lambda: stub.Unary(pb.ProbeRequest()),
    lambda: stub.Unary.future(pb.ProbeRequest()).result(),
    lambda: next(stub.ServerStream(pb.ProbeRequest())),
    lambda: stub.ClientStream(iter([])),
    lambda: next(stub.BidiStream(iter([]))),
    lambda: opened.subscribe(print),
):
    try:
        call()
    except ValueError as error:
        print(error)
opened.unsubscribe(print)
"""


def test_the_first_call_on_a_closed_channel_raises_an_error(two: Two) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSED, two.back.server.target],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the channel is closed\n" * 6, "")
