"""Clients on channels that somebody else has wrapped: instrumentation patches how grpc opens them."""

import threading
from collections.abc import Iterator
from typing import Any, Self

import grpc
import pytest
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from prometheus_client import CollectorRegistry

from app.client.channel import channel as open_channel
from app.client.instrumentation import is_instrumented, open_beneath, without_instrumentation
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS, SERVER_STREAMS, Probe
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until


class Wrapped(grpc.Channel):
    """A channel whose streams are bare generators."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel: Any = channel

    def _bare(self, method: Any) -> Any:
        def call(request: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
            yield from method(request, *arguments, **options)

        return call

    def unary_unary(self, *names: Any, **more: Any) -> Any:
        return self._channel.unary_unary(*names, **more)

    def stream_unary(self, *names: Any, **more: Any) -> Any:
        return self._channel.stream_unary(*names, **more)

    def unary_stream(self, *names: Any, **more: Any) -> Any:
        return self._bare(self._channel.unary_stream(*names, **more))

    def stream_stream(self, *names: Any, **more: Any) -> Any:
        return self._bare(self._channel.stream_stream(*names, **more))

    def subscribe(self, *given: Any) -> None:
        self._channel.subscribe(*given)

    def unsubscribe(self, *given: Any) -> None:
        self._channel.unsubscribe(*given)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def _wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    make: Any = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda *given, **more: Wrapped(make(*given, **more)))


@pytest.fixture
def upstream() -> Iterator[ProbeServer]:
    with probe_server() as at:
        yield at


@pytest.mark.usefixtures("_wrapped")
@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("code", ["OK", "NOT_FOUND"])
def test_calls_end_and_are_counted_as_on_a_channel_of_grpcs_own(
    upstream: ProbeServer, method: str, code: str
) -> None:
    if code != "OK":
        upstream.probe.on_call = lambda *given: given[-1].abort(grpc.StatusCode[code], "no")
    registry = CollectorRegistry()
    with open_channel(upstream.server.target, metrics=registry) as channel:
        assert outcome(lambda: CALLS[method](probe_pb2_grpc.ProbeStub(channel), timeout=5)).name == code
    counted = {
        (one.labels["grpc_method"], one.labels["grpc_code"])
        for family in registry.collect()
        for one in family.samples
        if one.name == "grpc_client_handled_total" and one.value
    }
    assert counted == {(method, "OK" if code == "OK" else "NotFound")}


@pytest.mark.usefixtures("_wrapped")
@pytest.mark.parametrize("method", SERVER_STREAMS)
def test_a_handlers_outgoing_stream_ends_with_the_call_that_made_it(
    upstream: ProbeServer, method: str
) -> None:
    """The handler has read one reply; the stream is closed when the call being served is over."""
    upstream.probe.between = lambda context: context.wait(10)
    holding = threading.Event()
    with open_channel(upstream.server.target) as outgoing:
        stub: Any = probe_pb2_grpc.ProbeStub(outgoing)

        class Relay(Probe):
            def Unary(self, request: Any, context: Any) -> Any:
                given = iter([request]) if method == "BidiStream" else request
                stream = getattr(stub, method)(given, timeout=20)
                next(stream)
                self.stream = stream
                holding.set()
                context.wait(20)

        with probe_server(Relay()) as at:
            call = at.stub.Unary.future(pb.ProbeRequest(text="a"), timeout=20)
            assert holding.wait(5)
            call.cancel()
            [line] = until(upstream.server.calls)
            assert (line["method"], line["code"]) == (method, "Canceled")
            stream: Any = at.probe.stream  # type: ignore[attr-defined]
            assert stream.cancelled()
            assert outcome(lambda: next(stream)) is grpc.StatusCode.CANCELLED
            until(at.server.calls)
            assert "has no attribute" not in at.server.log_text()


def test_the_wrapper_of_opentelemetry_is_taken_off_and_that_of_others_stays() -> None:
    plain = grpc.insecure_channel
    patch: Any = GrpcInstrumentorClient()  # type: ignore[no-untyped-call]
    patch.instrument()
    try:
        assert is_instrumented(grpc.insecure_channel)
        assert without_instrumentation(grpc.insecure_channel) is plain

        def other(*given: Any) -> Any:
            return grpc.insecure_channel(*given)

        other.__wrapped__ = grpc.insecure_channel  # type: ignore[attr-defined]
        assert without_instrumentation(other) is other
    finally:
        patch.uninstrument()
    assert not is_instrumented(grpc.insecure_channel)


def test_a_wrapper_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch, upstream: ProbeServer) -> None:
    """Elastic's splits the target at its colons, and takes one of these at most."""
    plain = grpc.insecure_channel

    def wrapper(target: str, **_options: Any) -> Any:
        host, port = target.split(":")
        raise AssertionError(host, port)

    with pytest.raises(ValueError, match="values to unpack"):
        open_beneath(wrapper, "dns:///a:1")  # nothing is beneath it
    wrapper.__wrapped__ = plain  # type: ignore[attr-defined]
    monkeypatch.setattr(grpc, "insecure_channel", wrapper)
    with open_channel(f"dns:///{upstream.server.target}") as channel:
        CALLS["Unary"](probe_pb2_grpc.ProbeStub(channel), timeout=5)
