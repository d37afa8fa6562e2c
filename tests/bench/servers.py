"""What this program is measured against: `python servers.py NAME` serves until it is killed.

All serve the Quoter's own servicer, of the `app` that is on the path.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes import open_quoter
from app.services.quotes.quoter import Quoter
from app.services.quotes.quotes_settings import QuotesSettings

ANY_PORT = "127.0.0.1:0"


def serve(
    executor: ThreadPoolExecutor,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    add: Callable[[grpc.Server], None] = lambda _server: None,
) -> None:
    """`add` adds further services."""
    with open_quoter(QuotesSettings()) as quoter:
        server = grpc.server(executor, interceptors=list(interceptors))
        quote_service_pb2_grpc.add_QuoterServicer_to_server(quoter, server)
        add(server)
        port = server.add_insecure_port(ANY_PORT)
        server.start()
        say_where(port)
        server.wait_for_termination()


def say_where(port: int) -> None:
    """As `app serve` says it."""
    sys.stdout.write(json.dumps({"event": "serving", "addresses": [f"127.0.0.1:{port}"]}) + "\n")
    sys.stdout.flush()


def bare() -> None:
    """The quickstart's server, and nothing else."""
    serve(ThreadPoolExecutor(max_workers=10))


def bare_on_our_executor() -> None:
    """And with our threads' scheduling: what the server itself gains, with no concern on it."""
    from app.runtime.pools import open_pools  # noqa: PLC0415 - no part of the other servers' start
    from app.runtime.scheduling import run_in_batches  # noqa: PLC0415 - as above

    run_in_batches()
    serve(open_pools(10, 100, 100).workers)


def bare_with_health() -> None:
    """Watches block a thread of a pool: those that do not, which are the default, deadlock the server."""
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


def stock() -> None:
    """The usual stack, with spans, metrics and log lines where they usually go."""
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


class AsyncQuoter(quote_service_pb2_grpc.QuoterServicer):
    """The servicer, called on the event loop: none of its methods waits for anything."""

    def __init__(self, quoter: Quoter) -> None:
        self._quoter = quoter

    async def GetQuote(  # type: ignore[override]
        self, request: pb.QuoteRequest, context: Any
    ) -> pb.QuoteReply:
        return self._quoter.GetQuote(request, context)

    async def ListQuotes(  # type: ignore[override]
        self, request: pb.ListQuotesRequest, context: Any
    ) -> AsyncIterator[pb.ListQuotesResponse]:
        for reply in self._quoter.ListQuotes(request, context):
            yield reply

    async def Converse(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.ConverseRequest], context: Any
    ) -> AsyncIterator[pb.ConverseResponse]:
        async for request in request_iterator:
            for reply in self._quoter.Converse(iter([request]), context):
                yield reply

    async def AddQuotes(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.AddQuotesRequest], context: Any
    ) -> pb.AddQuotesResponse:
        return self._quoter.AddQuotes(iter([request async for request in request_iterator]), context)


async def serve_async() -> None:
    with open_quoter(QuotesSettings()) as quoter:
        server = grpc.aio.server()
        add: Any = quote_service_pb2_grpc.add_QuoterServicer_to_server  # typed for the threaded server
        add(AsyncQuoter(quoter), server)
        port = server.add_insecure_port(ANY_PORT)
        await server.start()
        say_where(port)
        await server.wait_for_termination()


def aio() -> None:
    asyncio.run(serve_async())


def aio_uvloop() -> None:
    import uvloop  # noqa: PLC0415 - as above

    uvloop.run(serve_async())


def collector() -> None:
    """Takes spans, and forgets them."""

    def export(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return b""

    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    handler = grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService",
        {"Export": grpc.unary_unary_rpc_method_handler(export)},
    )
    server.add_generic_rpc_handlers((handler,))
    say_where(server.add_insecure_port(ANY_PORT))
    server.start()
    server.wait_for_termination()


SERVERS: dict[str, Callable[[], None]] = {
    "bare": bare,
    "bare-on-our-executor": bare_on_our_executor,
    "bare-with-health": bare_with_health,
    "slow": slow,
    "stock": stock,
    "aio": aio,
    "aio-uvloop": aio_uvloop,
    "collector": collector,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]]()
