"""Bare gRPC servers on loopback that do as they are told, and note every call that reaches them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

Handler = Callable[[Iterator[bytes], Any], Iterator[bytes]]


def echo(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    """Sends the requests back once all are there; an empty message where there was none."""
    del context
    yield b"".join(requests)


def failing(code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, **trailing: str) -> Handler:
    """Reads all requests, and answers with the code; `_` in a trailer's name stands for `-`."""

    def handler(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        b"".join(requests)
        context.set_trailing_metadata([(key.replace("_", "-"), value) for key, value in trailing.items()])
        context.abort(code, "as told")
        yield b""

    return handler


class Backend:
    """`handler` is what every method does, whatever its arity. `attempts` are the times of calls."""

    def __init__(
        self, handler: Handler, address: str = "127.0.0.1:0", options: Sequence[tuple[str, Any]] = ()
    ) -> None:
        self.handler = handler
        self.attempts: list[float] = []
        self.health = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0), *options])
        self._server.add_generic_rpc_handlers((_Any(self),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(address)}"
        self._server.start()

    def set_health(self, service: str, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        self.health.set(service, status.SERVING if serving else status.NOT_SERVING)

    def stop(self) -> None:
        self._server.stop(0).wait()


class _Any(grpc.GenericRpcHandler):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method.startswith("/grpc.health"):
            return None

        def behaviour(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            with self._lock:
                self._backend.attempts.append(time.monotonic())
            return self._backend.handler(requests, context)

        return grpc.stream_stream_rpc_method_handler(behaviour)


@contextmanager
def backends(*handlers: Handler) -> Iterator[list[Backend]]:
    """A backend for each handler."""
    with ExitStack() as stack:
        started = []
        for handler in handlers:
            started.append(Backend(handler))
            stack.callback(started[-1].stop)
        yield started


def target_of(several: Sequence[Backend]) -> str:
    """All of their addresses, as a name server might return them."""
    return "ipv4:" + ",".join(one.address for one in several)
