"""A server whose handlers somebody else wraps, outside the chain: instrumentation patches `grpc.server`."""

import threading
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.runtime.health import LIVENESS
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS, Probe
from tests.support.servers.probe_server import probe_server
from tests.support.waiting import until

FACTORIES = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Wrapper(grpc.ServerInterceptor):
    """Wraps each handler in a plain function, as published instrumentation does: all attributes are lost."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        behavior: Any = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )

        def reply(request: Any, context: Any) -> Any:
            return behavior(request, context)

        def replies(request: Any, context: Any) -> Any:
            yield from behavior(request, context)

        return FACTORIES[handler.request_streaming, handler.response_streaming](
            replies if handler.response_streaming else reply,
            handler.request_deserializer,
            handler.response_serializer,
        )


@pytest.fixture(autouse=True)
def _wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    make: Any = grpc.server

    def server(*arguments: Any, interceptors: Any, **options: Any) -> Any:
        return make(*arguments, interceptors=[Wrapper(), *interceptors], **options)

    monkeypatch.setattr(grpc, "server", server)


def test_idle_streams_leave_the_threads_of_calls_and_of_health_checks_alone() -> None:
    with probe_server(workers=1) as at:
        done = threading.Event()
        streams = [at.stub.BidiStream(iter(done.wait, True), timeout=20) for _ in range(8)]
        until(lambda: at.server.total("grpc_server_started_total", grpc_method="BidiStream") == 8)
        checks: Any = health_pb2_grpc.HealthStub(at.channel)
        for name in ("", LIVENESS):
            assert checks.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status == 1
        CALLS["Unary"](at.stub, timeout=5)
        done.set()
        for stream in streams:
            stream.cancel()


def test_a_busy_worker_leaves_health_checks_and_rejections_alone() -> None:
    with probe_server(workers=1) as at:
        done = threading.Event()
        at.probe.on_call = lambda *_: done.wait(10)
        busy = at.stub.Unary.future(pb.ProbeRequest(), timeout=20)
        until(lambda: at.server.total("grpc_server_in_flight", grpc_method="Unary") == 1)
        checks: Any = health_pb2_grpc.HealthStub(at.channel)
        assert checks.Check(health_pb2.HealthCheckRequest(service=LIVENESS), timeout=5).status == 1
        unknown = at.channel.unary_unary("/made/Up")
        assert outcome(lambda: unknown(b"", timeout=5)) is grpc.StatusCode.UNIMPLEMENTED
        done.set()
        busy.result()


@pytest.mark.parametrize("method", CALLS)
def test_calls_end_with_their_status_message_and_metadata(method: str) -> None:
    def reject(*given: Any) -> None:
        given[-1].set_trailing_metadata((("reason", "tired"),))
        given[-1].abort(grpc.StatusCode.NOT_FOUND, "no such probe")

    with probe_server() as at:
        CALLS[method](at.stub, timeout=5)
        at.probe.on_call = reject
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[method](at.stub, timeout=5)
        error: Any = caught.value
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such probe")
        assert ("reason", "tired") in tuple(error.trailing_metadata())
        assert at.seen() == [(method, "NotFound"), (method, "OK")]


def test_a_non_blocking_handler_sends_its_replies_and_its_status() -> None:
    class NonBlocking(Probe):
        def ServerStream(self, request: Any, context: Any, send: Any = None) -> Any:
            for text in ("a", "b"):
                send(pb.ProbeReply(text=text))
            if request.text == "endless":
                return
            context.set_code(grpc.StatusCode.OUT_OF_RANGE)
            send(None)

        ServerStream.experimental_non_blocking = True  # type: ignore[attr-defined]

    with probe_server(NonBlocking(), max_streams=1) as at:
        replies = at.stub.ServerStream(pb.ProbeRequest(), timeout=5)
        assert [next(replies).text, next(replies).text] == ["a", "b"]
        assert outcome(lambda: next(replies)) is grpc.StatusCode.OUT_OF_RANGE
        left = at.stub.ServerStream(pb.ProbeRequest(text="endless"), timeout=5)
        assert [next(left).text, next(left).text] == ["a", "b"]
        left.cancel()
        until(lambda: len(at.server.calls()) == 2)
        assert at.seen() == [("ServerStream", "Canceled"), ("ServerStream", "OutOfRange")]
        last = at.stub.ServerStream(
            pb.ProbeRequest(), timeout=5
        )  # on the one thread of streams, which is free
        assert next(last).text == "a"
