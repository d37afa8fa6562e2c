"""Spans of calls on `aio_channel`: those of opentelemetry-instrumentation-grpc, without texts of errors."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.client.channel import aio_channel
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.servers.probe import read_all
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

SECRET = "s3cret"  # noqa: S105 - what an error says, and no span may


async def requests() -> Any:
    yield pb.ProbeRequest(text="a")


# Each method as an asyncio client calls it, to the end.
CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "Unary": lambda stub: stub.Unary(pb.ProbeRequest(text="a"), timeout=10),
    "ServerStream": lambda stub: _all(stub.ServerStream(pb.ProbeRequest(text="a"), timeout=10)),
    "ClientStream": lambda stub: stub.ClientStream(requests(), timeout=10),
    "BidiStream": lambda stub: _all(stub.BidiStream(requests(), timeout=10)),
}


async def _all(call: Any) -> list[Any]:
    return [reply async for reply in call]


class Spans:
    """A tracer provider, and the spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def __call__(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


@pytest.fixture(scope="module")
def at() -> Iterator[ProbeServer]:
    with probe_server() as started:
        yield started


def traced(at: ProbeServer, act: Callable[[Any], Awaitable[Any]], spans: Spans | None) -> Any:
    async def run() -> Any:
        tracing = None if spans is None else spans.provider
        async with aio_channel(at.server.target, tracing=tracing) as opened:
            channel: Any = opened  # the generated stub's types know the threaded channel alone
            return await act(probe_pb2_grpc.ProbeStub(channel))

    return asyncio.run(run())


@pytest.mark.parametrize("method", CALLS)
def test_a_call_has_a_client_span_whose_trace_the_server_gets(at: ProbeServer, method: str) -> None:
    arrived: list[Any] = []
    at.probe.on_call = lambda *given: arrived.extend(given[-1].invocation_metadata())
    spans = Spans()
    traced(at, CALLS[method], spans)
    [span] = until(spans)
    assert (span.name, span.kind) == (f"/probe.Probe/{method}", SpanKind.CLIENT)
    assert (span.attributes or {})["rpc.grpc.status_code"] == 0
    assert span.status.status_code is StatusCode.UNSET
    [sent] = [value for key, value in arrived if key == "traceparent"]
    assert sent.startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-")


@pytest.mark.parametrize("method", CALLS)
def test_a_rejected_calls_span_has_the_code_and_no_text(at: ProbeServer, method: str) -> None:
    def reject(requests: Any, context: Any) -> None:
        read_all(requests, context)  # grpc.aio calls it INTERNAL if the call ends while it sends
        context.abort(grpc.StatusCode.NOT_FOUND, SECRET)

    at.probe.on_call = reject
    spans = Spans()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        traced(at, CALLS[method], spans)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    [span] = until(spans)
    assert (span.attributes or {})["rpc.grpc.status_code"] == 5
    assert span.status.status_code is StatusCode.ERROR
    assert SECRET not in span.to_json()


def test_the_span_of_a_cancelled_call_ends(at: ProbeServer) -> None:
    released, began = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        began.set()
        released.wait(10)

    at.probe.on_call = hold
    spans = Spans()

    async def cancelled(stub: Any) -> None:
        task = asyncio.ensure_future(CALLS["Unary"](stub))
        await asyncio.to_thread(began.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    traced(at, cancelled, spans)
    released.set()
    [span] = until(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["rpc.grpc.status_code"] == 1


def test_a_stream_can_be_cancelled_and_has_a_code(at: ProbeServer) -> None:
    at.probe.on_call = lambda *_: None
    at.probe.between = lambda context: context.wait(10)
    spans = Spans()

    async def cancelled(stub: Any) -> grpc.StatusCode:
        call = stub.ServerStream(pb.ProbeRequest(text="a"), timeout=10)
        await anext(aiter(call))
        call.cancel()
        code: grpc.StatusCode = await call.code()
        return code

    assert traced(at, cancelled, spans) is grpc.StatusCode.CANCELLED
    at.probe.between = lambda _context: None


def test_without_tracing_a_call_has_no_span_and_the_package_is_not_loaded(at: ProbeServer) -> None:
    program = f"""
import asyncio, sys
from app.client.channel import aio_channel, channel
async def run():
    async with aio_channel({at.server.target!r}): pass
asyncio.run(run())
channel({at.server.target!r}).close()
print([name for name in sys.modules if name.startswith("opentelemetry.instrumentation")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=30,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"


def test_a_channel_that_the_package_has_patched_has_one_span_for_each_call(at: ProbeServer) -> None:
    at.probe.on_call = lambda *_: None
    spans, own = Spans(), Spans()
    patch: Any = GrpcAioInstrumentorClient()  # type: ignore[no-untyped-call]
    patch.instrument(tracer_provider=spans.provider)
    try:
        traced(at, CALLS["Unary"], own)
        traced(at, CALLS["Unary"], None)
    finally:
        patch.uninstrument()
    assert len(until(lambda: len(spans()) == 2 and spans())) == 2
    assert own() == []
