"""The HTTP port beside the gRPC ones: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes.

A status page for people is at `/`, where it is on.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from threading import Thread

from prometheus_client import CollectorRegistry

from app.core.address import Address
from app.core.errors import StartError
from app.core.file import reason_of
from app.runtime.exposition import Exposition, Form
from app.runtime.http_port import TEXT, Answer, HttpPort
from app.runtime.http_request import Request
from app.runtime.status_page import StatusPage

# The errors of a host without IPv6.
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
# Connections that wait in the kernel for their acceptance.
_BACKLOG = 512


@contextmanager
def metrics_port(  # noqa: PLR0913 - keywords, but for the first two
    addresses: Sequence[Address],
    registry: CollectorRegistry,
    *,
    ready: Callable[[], bool],
    max_connections: int,
    timeout: float,
    page: StatusPage | None = None,
) -> Iterator[tuple[Address, ...]]:
    """Serves until exit, and yields the addresses with their real ports.

    `/healthz` answers 200 while the process runs; `/readyz` 200 if `ready()` is true, and 503 otherwise.
    `ready` must not block. `HttpPort` explains the bounds, `Exposition` those of `/metrics`. Raises
    StartError for an address that cannot be bound.
    """
    with ExitStack() as opened:
        served: list[Address] = []
        listening: list[socket.socket] = []
        for address in addresses:
            listening.append(opened.enter_context(_listen(address.beside(served))))
            served.append(Address(*listening[-1].getsockname()[:2]))

        async def serve(stop: asyncio.Event) -> None:
            answer = _answers(Exposition(registry), ready, page)
            async with HttpPort(answer, max_connections=max_connections, timeout=timeout).serving(listening):
                await stop.wait()

        opened.enter_context(_on_an_event_loop(serve))
        yield tuple(served)


@contextmanager
def _on_an_event_loop(serve: Callable[[asyncio.Event], Awaitable[None]]) -> Iterator[None]:
    """Runs it on a thread of its own until exit, when its event is set."""
    begun: Future[Callable[[], object]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        begun.set_result(lambda: loop.call_soon_threadsafe(stop.set))
        await serve(stop)

    def run() -> None:
        try:
            asyncio.run(main())
        except OSError as error:
            if begun.done():
                raise
            begun.set_exception(error)  # an event loop needs three descriptors

    thread = Thread(target=run, name="metrics port", daemon=True)
    thread.start()
    try:
        stop = begun.result()
    except OSError as error:
        raise StartError(f"APP_METRICS_LISTEN: {reason_of(error)}") from error
    try:
        yield
    finally:
        stop()
        thread.join()


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.socket(family)
        try:
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address.host, address.port or 0))
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        if address.host == "::" and error.errno in _NO_IPV6:
            return _listen(Address("0.0.0.0", address.port))  # noqa: S104 - as gRPC does for its own port
        raise StartError(f"APP_METRICS_LISTEN: {address}: {reason_of(error)}") from error
    return listening


def _answers(
    exposition: Exposition, ready: Callable[[], bool], page: StatusPage | None
) -> Callable[[Request], Awaitable[Answer]]:
    paths = "/metrics, /healthz and /readyz" if page is None else "/, /status, /metrics, /healthz and /readyz"

    async def answer(request: Request) -> Answer:
        if request.method not in {"GET", "HEAD"}:
            headers = (("Allow", "GET, HEAD"), *TEXT)
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"this port answers GET and HEAD\n", headers)
        match request.path:
            case "/metrics":
                accept = request.headers.get("Accept", "")
                encoding = request.headers.get("Accept-Encoding", "")
                return await exposition.rendered(Form(accept, encoding, request.query))
            case "/healthz":
                return Answer(HTTPStatus.OK, b"ok\n")
            case "/readyz":
                if ready():
                    return Answer(HTTPStatus.OK, b"ready\n")
                return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready\n")
            case _:
                found = page.answer(request) if page is not None else None
                return found or Answer(HTTPStatus.NOT_FOUND, f"this port serves {paths}\n".encode())

    return answer
