"""What this program's server is measured against: `python servers.py NAME` serves until SIGTERM.

All of them serve the Quoter's own servicer. It imports `app` from the checkout under measure.
"""

import json
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from app.gen import quote_service_pb2_grpc
from app.services.quoter import open_quoter
from app.services.quoter.settings import QuoterSettings

JWT_KEY = "the key of the benchmark, 32 bytes"


def bare(executor: ThreadPoolExecutor | None = None, *interceptors: grpc.ServerInterceptor) -> None:
    """The quickstart's server, and nothing else."""
    with open_quoter(QuoterSettings()) as quoter:
        server = grpc.server(executor or ThreadPoolExecutor(max_workers=10), interceptors=list(interceptors))
        quote_service_pb2_grpc.add_QuoterServicer_to_server(quoter, server)
        say_where(server.add_insecure_port("127.0.0.1:0"))
        server.start()
        signal.sigwait({signal.SIGTERM})
        server.stop(1).wait()


def bare_on_our_executor() -> None:
    from app.runtime.pools import open_pools  # noqa: PLC0415 - the other servers have no part in it

    bare(open_pools(10, 100, 100).workers)


def collector() -> None:
    """Takes spans, and forgets them."""

    def export(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return b""

    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    path = "opentelemetry.proto.collector.trace.v1.TraceService"
    handler = grpc.method_handlers_generic_handler(
        path, {"Export": grpc.unary_unary_rpc_method_handler(export)}
    )
    server.add_generic_rpc_handlers((handler,))
    say_where(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    signal.sigwait({signal.SIGTERM})


def say_where(port: int) -> None:
    """As `app serve` says it."""
    sys.stdout.write(json.dumps({"event": "serving", "addresses": [f"127.0.0.1:{port}"]}) + "\n")
    sys.stdout.flush()


SERVERS: dict[str, Callable[[], None]] = {
    "bare": bare,
    "bare-on-our-executor": bare_on_our_executor,
    "collector": collector,
}

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    SERVERS[sys.argv[1]]()
