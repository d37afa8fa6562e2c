"""The servers that this program is compared with: `python servers.py NAME` serves until it is killed.

All serve the echo of tests/support/servers/echo.py.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import ProbeReply, ProbeRequest
from tests.support.servers.echo import Echo

ANY_PORT = "127.0.0.1:0"


def serve(
    executor: ThreadPoolExecutor,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    add: Callable[[grpc.Server], None] = lambda _server: None,
) -> None:
    """`add` adds further services."""
    server = grpc.server(executor, interceptors=list(interceptors))
    probe_pb2_grpc.add_ProbeServicer_to_server(Echo(), server)
    add(server)
    port = server.add_insecure_port(ANY_PORT)
    server.start()
    log_serving(port)
    server.wait_for_termination()


def log_serving(port: int) -> None:
    """Logs the address as this program does."""
    sys.stdout.write(json.dumps({"event": "serving", "addresses": [f"127.0.0.1:{port}"]}) + "\n")
    sys.stdout.flush()


def bare() -> None:
    """The quickstart's server alone."""
    serve(ThreadPoolExecutor(max_workers=10))


def bare_on_our_executor() -> None:
    """The same with this program's executor and scheduling, without interceptors."""
    from app.runtime.pools import open_pools  # noqa: PLC0415 - not part of the other servers' start
    from app.runtime.scheduling import run_in_batches  # noqa: PLC0415 - as above

    run_in_batches()
    serve(open_pools(10, 100, 100, 10).workers)


def bare_with_health() -> None:
    """Watches block a thread of a pool: the default, which does not block, can deadlock the server."""
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # noqa: PLC0415 - as above

    watches = ThreadPoolExecutor(max_workers=100)
    servicer = health.HealthServicer(experimental_non_blocking=False, experimental_thread_pool=watches)
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    serve(
        ThreadPoolExecutor(max_workers=10),
        add=lambda server: health_pb2_grpc.add_HealthServicer_to_server(servicer, server),
    )


def slow() -> None:
    from tests.bench.slow import slow  # noqa: PLC0415 - as above

    slow()


def stored() -> None:
    from tests.bench.stored import stored  # noqa: PLC0415 - as above

    stored()


def stock() -> None:
    """The usual stack, with spans, metrics and log lines sent to their usual places."""
    # As above.
    import prometheus_client  # noqa: PLC0415
    import structlog  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    from tests.bench.process import CALLER, KEY  # noqa: PLC0415
    from tests.support.servers.usual_stack import interceptors  # noqa: PLC0415

    spans = TracerProvider()
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    prometheus_client.start_http_server(0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ]
    )
    stack = interceptors(
        spans=spans,
        registry=prometheus_client.REGISTRY,
        logger=structlog.get_logger(),
        key=KEY,
        names={CALLER},
    )
    serve(ThreadPoolExecutor(max_workers=10), stack)


class AsyncEcho(probe_pb2_grpc.ProbeServicer):
    """The echo on the event loop: its methods never block."""

    def __init__(self) -> None:
        self._echo = Echo()

    async def Unary(  # type: ignore[override]
        self, request: ProbeRequest, context: Any
    ) -> ProbeReply:
        return self._echo.Unary(request, context)

    async def ServerStream(  # type: ignore[override]
        self, request: ProbeRequest, context: Any
    ) -> AsyncIterator[ProbeReply]:
        for reply in self._echo.ServerStream(request, context):
            yield reply

    async def ClientStream(  # type: ignore[override]
        self, request_iterator: AsyncIterator[ProbeRequest], context: Any
    ) -> ProbeReply:
        return self._echo.ClientStream(iter([request async for request in request_iterator]), context)

    async def BidiStream(  # type: ignore[override]
        self, request_iterator: AsyncIterator[ProbeRequest], context: Any
    ) -> AsyncIterator[ProbeReply]:
        async for request in request_iterator:
            for reply in self._echo.BidiStream(iter([request]), context):
                yield reply


async def serve_async() -> None:
    server = grpc.aio.server()
    add: Any = probe_pb2_grpc.add_ProbeServicer_to_server  # typed for the threaded server
    add(AsyncEcho(), server)
    port = server.add_insecure_port(ANY_PORT)
    await server.start()
    log_serving(port)
    await server.wait_for_termination()


def aio() -> None:
    asyncio.run(serve_async())


def aio_uvloop() -> None:
    import uvloop  # noqa: PLC0415 - as above

    uvloop.run(serve_async())


def collector() -> None:
    """Accepts spans and discards them."""

    def export(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return b""

    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    handler = grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService",
        {"Export": grpc.unary_unary_rpc_method_handler(export)},
    )
    server.add_generic_rpc_handlers((handler,))
    log_serving(server.add_insecure_port(ANY_PORT))
    server.start()
    server.wait_for_termination()


SERVERS: dict[str, Callable[[], None]] = {
    "bare": bare,
    "bare-on-our-executor": bare_on_our_executor,
    "bare-with-health": bare_with_health,
    "slow": slow,
    "stored": stored,
    "stock": stock,
    "aio": aio,
    "aio-uvloop": aio_uvloop,
    "collector": collector,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]]()
