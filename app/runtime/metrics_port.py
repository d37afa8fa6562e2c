"""The HTTP port beside the gRPC ones: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes."""

import errno
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from app.core.address import Address
from app.core.errors import StartError
from app.core.file import reason_of

_TEXT = ("Content-Type", "text/plain; charset=utf-8")

# The errors of a host without IPv6.
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


@contextmanager
def metrics_port(
    addresses: Sequence[Address], registry: CollectorRegistry, *, ready: Callable[[], bool]
) -> Iterator[tuple[Address, ...]]:
    """Serves until exit, and yields the addresses with their real ports.

    `/healthz` answers 200 while the process runs; `/readyz` 200 if `ready()` is true, and 503 otherwise.
    Raises StartError for an address that cannot be bound.
    """
    application = _application(registry, ready)
    with ExitStack() as servers:
        served: list[Address] = []
        for address in addresses:
            server = servers.enter_context(_listen(address.beside(served)))
            server.set_app(application)
            served.append(Address(str(server.server_address[0]), server.server_port))
            thread = Thread(
                target=server.serve_forever, args=(0.05,), name=f"metrics {served[-1]}", daemon=True
            )
            thread.start()
            servers.callback(server.shutdown)
        yield tuple(served)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 32

    def server_bind(self) -> None:
        # As WSGIServer does, without asking DNS for the machine's name.
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "metrics", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: clients may hang up, or send nothing for too long."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds for a request to arrive

    def log_message(self, *arguments: Any) -> None:
        """Logs nothing: there would be a line for each scrape and probe."""


def _listen(address: Address) -> _Server:
    kind = _ServerV6 if ":" in address.host else _Server
    try:
        return kind((address.host, address.port or 0), _Handler)
    except OSError as error:
        if address.host == "::" and error.errno in _NO_IPV6:
            return _listen(Address("0.0.0.0", address.port))  # noqa: S104 - as gRPC does for its own port
        raise StartError(f"APP_METRICS_LISTEN: {address}: {reason_of(error)}") from error


def _application(registry: CollectorRegistry, ready: Callable[[], bool]) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def answer(status: str, text: str) -> Iterable[bytes]:
            start_response(status, [_TEXT])
            return [text.encode()]

        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/healthz":
                return answer("200 OK", "ok\n")
            case "/readyz":
                return (
                    answer("200 OK", "ready\n")
                    if ready()
                    else answer("503 Service Unavailable", "not ready\n")
                )
            case _:
                return answer("404 Not Found", "this port serves /metrics, /healthz and /readyz\n")

    def by_method(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"]:
            case "GET":
                return application(environ, start_response)
            case "HEAD":
                return _head(application, environ, start_response)
            case _:
                start_response("405 Method Not Allowed", [("Allow", "GET, HEAD"), _TEXT])
                return [b"this port answers GET and HEAD\n"]

    return by_method


def _head(
    application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answers as the application answers GET, without the body."""
    answers: list[tuple[str, list[tuple[str, str]]]] = []
    discarded: list[bytes] = []  # what an application passes to WSGI's `write`

    def note(
        status: str, headers: list[tuple[str, str]], _error: object = None, /
    ) -> Callable[[bytes], object]:
        answers.append((status, headers))
        return discarded.append

    body = b"".join(application({**environ, "REQUEST_METHOD": "GET"}, note))
    [(status, headers)] = answers
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return []
