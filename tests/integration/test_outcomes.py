"""What ends a call, and how: beside the table of test_exactness.py, which has every case in every arity."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.core.call import current_call
from app.core.errors import InvalidArgument, ResourceExhausted
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import code, outcome
from tests.support.servers.probe import CALLS, Probe
from tests.support.servers.probe_server import probe_server
from tests.support.servers.server import TOKEN
from tests.support.waiting import until

Status = grpc.StatusCode
STREAMED = ["ServerStream", "BidiStream"]
each_method = pytest.mark.parametrize("method", CALLS)


def abort(_request: Any, context: Any) -> None:
    context.abort(Status.NOT_FOUND, "no such quote")


def abort_and_swallow(_request: Any, context: Any) -> None:
    with suppress(Exception):  # what careless code does
        context.abort(Status.NOT_FOUND, "no such quote")


def set_code(_request: Any, context: Any) -> None:
    context.set_code(Status.NOT_FOUND)
    context.set_details("no such quote")


def raise_coded(_request: Any, _context: Any) -> None:
    raise ResourceExhausted("no such quote", code=Status.NOT_FOUND)


@each_method
@pytest.mark.parametrize("how", [abort, abort_and_swallow, set_code, raise_coded])
def test_an_error_of_the_domain(method: str, how: Any) -> None:
    with probe_server() as at:
        at.probe.on_call = how
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub)
        assert code(caught.value) is Status.NOT_FOUND
        assert caught.value.details() == "no such quote"
        assert at.seen() == [(method, "NotFound")]


@each_method
@pytest.mark.parametrize(
    "bug", [ValueError("s3cret in a bug"), SystemExit("s3cret"), grpc.RpcError("s3cret")]
)
def test_an_unhandled_exception_is_internal_and_only_the_log_has_details(
    method: str, bug: BaseException
) -> None:
    def fail(_request: Any, _context: Any) -> None:
        raise bug

    with probe_server() as at:
        at.probe.on_call = fail
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub)
        assert code(caught.value) is Status.INTERNAL
        assert at.seen() == [(method, "Internal")]
        [line] = at.server.lines("unhandled_exception")
        assert caught.value.details() == f"internal error (error id {line['error_id']})"
        assert "s3cret" in line["exception"]
        assert "s3cret" not in str(caught.value)
        [span] = at.server.spans
        assert "s3cret" not in str(span.to_json())


@each_method
def test_a_method_that_the_servicer_does_not_override_is_unimplemented(method: str) -> None:
    bare: Any = probe_pb2_grpc.ProbeServicer
    with probe_server(bare()) as at:
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub)
        assert code(caught.value) is Status.UNIMPLEMENTED
        assert caught.value.details() == "Method not implemented!"
        assert at.seen() == [(method, "Unimplemented")]
        assert not at.server.lines("unhandled_exception")


@each_method
def test_a_reply_of_the_wrong_type_is_an_internal_error(method: str) -> None:
    class Wrong(Probe):
        def Unary(self, request: Any, context: Any) -> Any:  # noqa: ARG002
            return None

        ClientStream = ServerStream = BidiStream = Unary  # type: ignore[assignment]

    wrong: Any = Wrong()
    with probe_server(wrong) as at:
        assert outcome(lambda: CALLS[method](at.stub)) is Status.INTERNAL
        assert at.seen() == [(method, "Internal")]


@each_method
def test_refused_by_auth(method: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ann:{TOKEN}\n")
    with probe_server(auth_mode="tokens", auth_tokens_file=file) as at:
        for metadata in [
            (),
            (("authorization", TOKEN),),
            (("authorization", f"Basic {TOKEN}"),),
            (("authorization", "Bearer "),),
            (("authorization", f"Bearer {TOKEN}x"),),
            (("authorization", f"Bearer {'x' * 5000}"),),
            (("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")),
        ]:
            with pytest.raises(grpc.RpcError) as caught:
                CALLS[method](at.stub, metadata=metadata)
            assert code(caught.value) is Status.UNAUTHENTICATED
            assert TOKEN not in str(caught.value.details())
        CALLS[method](at.stub, metadata=(("authorization", f"bearer {TOKEN}"),))
        assert at.seen() == [(method, "OK")] + [(method, "Unauthenticated")] * 7
        assert [line["principal"] for line in at.server.calls()] == [""] * 7 + ["ann"]
        assert TOKEN not in at.server.log_text()


def test_a_handler_that_swallows_what_a_read_raised_does_not_turn_it_into_a_success() -> None:
    def swallow(requests: Any, _context: Any) -> None:
        with suppress(Exception):  # what careless code does
            list(requests)

    with probe_server() as at:
        at.probe.on_call = swallow
        request = pb.ProbeRequest(text="wrong")
        assert outcome(lambda: at.stub.ClientStream(iter([request]))) is Status.INVALID_ARGUMENT
        assert at.seen() == [("ClientStream", "InvalidArgument")]


def test_a_malformed_message_is_not_logged_as_an_unhandled_exception() -> None:
    with probe_server() as at:
        assert outcome(lambda: at.channel.unary_unary("/probe.Probe/Unary")(b"\xff")) is Status.INTERNAL
        assert not at.server.lines("unhandled_exception")


@pytest.mark.parametrize("method", ["Unary", "ServerStream"])
def test_a_unary_request_that_is_missing_is_unimplemented(method: str) -> None:
    with probe_server() as at:
        call = at.channel.stream_stream(f"/probe.Probe/{method}")
        assert outcome(lambda: list(call(iter([])))) is Status.UNIMPLEMENTED
        assert at.seen() == [(method, "Unimplemented")]


@pytest.mark.parametrize(
    "path", ["/probe.Probe/Nope", "/no.Such/Method", "/Unary", "nonsense", "/probe.Probe/"]
)
def test_an_unknown_method_adds_no_series_is_not_named_and_is_refused_before_auth(
    path: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ann:{TOKEN}\n")
    with probe_server(auth_mode="tokens", auth_tokens_file=file) as at:
        before = len(at.server.samples("grpc_server_handled_total"))
        assert outcome(lambda: at.channel.unary_unary(path)(b"")) is Status.UNIMPLEMENTED
        assert at.seen() == [("unknown", "Unimplemented")]
        labels = {"grpc_type": "unary", "grpc_service": "unknown", "grpc_method": "unknown"}
        assert at.server.total("grpc_server_handled_total", **labels) == 1
        assert len(at.server.samples("grpc_server_handled_total")) == before
        assert at.server.calls()[0]["service"] == "unknown"
        assert path.strip("/") not in at.server.log_text() or path == "/probe.Probe/"


@pytest.mark.slow
def test_a_handler_never_sees_a_cut_client_stream_as_complete() -> None:
    """Grpc ends the iterator of some cut streams as if they were complete; reading once more raises."""
    complete: list[int] = []
    with probe_server() as at:
        at.probe.on_call = lambda requests, _context: complete.append(sum(1 for _ in requests))
        rounds = 60
        for number in range(rounds):
            gone = threading.Event()

            def requests(gone: threading.Event = gone) -> Iterator[pb.ProbeRequest]:
                yield pb.ProbeRequest(text="a")
                yield pb.ProbeRequest(text="a")
                gone.wait(5)

            before = at.server.total("grpc_server_msg_received_total")
            call = at.stub.ClientStream.future(requests(), timeout=0.1 if number % 2 else None)
            if number % 2 == 0:
                until(lambda: at.server.total("grpc_server_msg_received_total") >= before + 2)  # noqa: B023
                call.cancel()
            until(call.done)
            gone.set()
            # On a busy machine, a deadline may pass before the call is sent.
            until(lambda: at.server.total("grpc_server_in_flight") == 0)
        assert complete == []
        assert {code for _, code in at.seen()} == {"Canceled", "DeadlineExceeded"}


@pytest.mark.parametrize("way", ["yield", "read", "wait"])
def test_a_client_that_leaves_frees_the_thread_at_the_next_yield_read_or_wait(way: str) -> None:
    ended = threading.Event()

    def forever(requests: Any, _context: Any) -> None:
        if way == "yield":
            return
        try:
            if way == "read":
                for _ in requests:
                    pass
            else:
                current_call().wait(60)
        finally:
            ended.set()

    class Endless(Probe):
        def BidiStream(self, request_iterator: Any, context: Any) -> Iterator[pb.ProbeReply]:
            self.on_call(request_iterator, context)
            try:
                while True:
                    yield pb.ProbeReply(text="q" * 10_000)
            finally:
                ended.set()

    with probe_server(Endless()) as at:
        at.probe.on_call = forever
        leave = threading.Event()

        def requests() -> Iterator[pb.ProbeRequest]:
            yield pb.ProbeRequest()
            leave.wait(10)

        call = at.stub.BidiStream(requests())
        until(lambda: at.server.total("grpc_server_started_total") == 1)
        if way == "yield":
            next(call)
        began = time.monotonic()
        call.cancel()
        assert ended.wait(5)
        assert time.monotonic() - began < 2
        leave.set()
        until(at.server.calls)
        assert at.seen() == [("BidiStream", "Canceled")]


def test_flow_control_holds_a_handler_back_whose_client_does_not_read() -> None:
    made = [0]

    class Endless(Probe):
        def ServerStream(self, request: Any, context: Any) -> Iterator[pb.ProbeReply]:  # noqa: ARG002
            while True:
                made[0] += 1
                yield pb.ProbeReply(text="q" * 10_000)

    with probe_server(Endless()) as at:
        call = at.stub.ServerStream(pb.ProbeRequest())
        next(call)
        time.sleep(0.5)
        held_at = made[0]
        time.sleep(0.5)
        assert made[0] == held_at < 1000
        call.cancel()
        until(at.server.calls)


@pytest.mark.parametrize("idle", ["reads", "does not read"])
def test_a_stream_whose_client_idles_past_the_servers_deadline_is_freed(idle: str) -> None:
    class Endless(Probe):
        def ServerStream(self, request: Any, context: Any) -> Iterator[pb.ProbeReply]:  # noqa: ARG002
            while True:
                yield pb.ProbeReply(text="q" * 10_000)

    with probe_server(Endless(), max_deadline=0.2, max_streams=1) as at:
        leave = threading.Event()
        if idle == "reads":
            call = at.stub.BidiStream(iter(lambda: leave.wait(20), True))
            assert outcome(lambda: list(call)) is Status.CANCELLED
        else:
            call = at.stub.ServerStream(pb.ProbeRequest())
            next(call)
        until(at.server.calls)
        assert at.server.calls()[0]["code"] in {"Canceled", "DeadlineExceeded"}
        assert outcome(lambda: CALLS["ClientStream"](at.stub)) is Status.OK
        leave.set()


def test_a_health_watch_outlives_the_maximum_deadline_of_calls() -> None:
    with probe_server(max_deadline=0.2) as at:
        stub: Any = health_pb2_grpc.HealthStub(at.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == 1
        time.sleep(1.2)  # past the deadline, and the cancel that follows it
        assert watch.is_active()
        watch.cancel()


MISUSES: dict[str, Callable[[Any], object]] = {
    "a message that is no text": lambda context: context.abort(Status.NOT_FOUND, None),
    "a message with a lone surrogate": lambda context: context.abort(Status.NOT_FOUND, "\udcff"),
    "details that are no text": lambda context: context.set_details(3),
    "a code that is a number": lambda context: context.set_code(5),
    "an abort with a number": lambda context: context.abort(5, "x"),
    "trailing metadata with a number": lambda context: context.set_trailing_metadata((("count", 5),)),
    "trailing metadata with an upper-case key": lambda context: context.set_trailing_metadata((("A", "b"),)),
    "trailing metadata beyond ASCII": lambda context: context.set_trailing_metadata((("a", "é"),)),
    "initial metadata with a number": lambda context: context.send_initial_metadata((("count", 5),)),
    "bytes under a key of text": lambda context: context.set_trailing_metadata((("a", b"b"),)),
}


@pytest.mark.parametrize("misuse", MISUSES)
@pytest.mark.parametrize("method", ["Unary", "BidiStream"])
def test_a_value_that_grpc_cannot_send_is_an_unhandled_exception(method: str, misuse: str) -> None:
    with probe_server() as at:
        at.probe.on_call = lambda _request, context: MISUSES[misuse](context)
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub, timeout=5)
        assert code(caught.value) is Status.INTERNAL
        assert str(caught.value.details()).startswith("internal error (error id ")
        assert at.seen() == [(method, "Internal")]


def unsendable(_request: Any, _context: Any) -> None:
    wrong: Any = ["not a message"]
    raise InvalidArgument("m", details=wrong)


@each_method
def test_an_error_that_cannot_be_sent_is_internal_and_releases_the_limit(method: str) -> None:
    with probe_server(max_calls=1, max_streams=1) as at:
        at.probe.on_call = unsendable
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                CALLS[method](at.stub)
            assert (code(caught.value), caught.value.details()) == (Status.INTERNAL, "internal error")
        assert at.seen() == [(method, "Internal")] * 3


@pytest.mark.parametrize("method", STREAMED)
def test_clean_up_that_fails_does_not_hide_the_first_error(method: str) -> None:
    class Unclean(Probe):
        def ServerStream(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: ARG002
            try:
                yield pb.ProbeReply()
                time.sleep(0.3)
                yield pb.ProbeReply()
            finally:
                raise ValueError("s3cret")

        def BidiStream(self, request_iterator: Any, context: Any) -> Iterator[Any]:
            return self.ServerStream(request_iterator, context)

    with probe_server(Unclean(), max_deadline=0.2) as at:
        assert outcome(lambda: CALLS[method](at.stub)) is Status.DEADLINE_EXCEEDED
        assert at.seen() == [(method, "DeadlineExceeded")]
        assert at.server.lines("clean_up_failed")


def test_a_reply_that_is_not_sent_is_not_counted_as_sent() -> None:
    with probe_server() as at:
        at.probe.on_call = set_code
        assert outcome(lambda: CALLS["Unary"](at.stub)) is Status.NOT_FOUND
        assert at.server.total("grpc_server_msg_sent_total") == 0


def test_handlers_can_read_what_time_is_left() -> None:
    left: list[float | None] = []
    with probe_server(max_deadline=50) as at:
        at.probe.on_call = lambda _request, context: left.append(context.time_remaining())
        at.stub.Unary(pb.ProbeRequest())
        at.stub.Unary(pb.ProbeRequest(), timeout=5)
        assert left[0] is not None
        assert left[1] is not None
        assert 49 < left[0] <= 50
        assert 4 < left[1] < 5.5  # the wire rounds deadlines up


def test_a_handlers_metadata_reach_the_client_beside_the_request_id() -> None:
    def answer(_request: Any, context: Any) -> None:
        context.send_initial_metadata((("early", "1"),))
        context.set_trailing_metadata((("late", "2"),))

    with probe_server() as at:
        at.probe.on_call = answer
        _, call = at.stub.Unary.with_call(pb.ProbeRequest(), metadata=(("x-request-id", "mine"),))
        assert ("early", "1") in tuple(call.initial_metadata())
        assert set(call.trailing_metadata()) == {("late", "2"), ("x-request-id", "mine")}
