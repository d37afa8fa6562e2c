"""A document on a web server that is reloaded when its content changes."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Event, Lock, Thread
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import structlog

from app.core.address import parse_address
from app.core.errors import StartError
from app.core.file import reason_of
from app.reload.ticker import Ticker

Value = TypeVar("Value")

# In seconds. A change is seen within _PERIOD, or sooner after `ask`. Fetches because of `ask` or of a failure
# are at least _COOLDOWN apart.
_PERIOD = 300.0
_COOLDOWN = 15.0
# For a complete response, from the resolution of the name to the last byte.
_TIMEOUT = 10.0
_MAX_BYTES = 256 * 1024
# For the thread of a fetch to end once its connection is closed.
_CLOSING = 1.0


class WatchedUrl(Ticker, Generic[Value]):
    """Holds in `value` what `parse` returned for the last valid response.

    Inside `with`, a thread fetches the document every `period` seconds, and earlier after `ask` or a failure,
    but at most once in `cooldown` seconds. A response is valid if it has status 200 and at most 256 KiB, is
    complete within `timeout` seconds, and `parse` does not raise ValueError. Otherwise `reload_failed` is
    logged once and `value` stays. `value` is the same object until the content changes; `fetched` is the
    Unix time of the last valid response, in seconds. Redirects are not followed; `https_proxy` applies, and
    no proxy to an http URL. Any thread may read `value` and `fetched`, and call `ask`; none blocks.

    Raises StartError, which names the URL, if the first response is invalid.
    """

    def __init__(
        self,
        url: str,
        parse: Callable[[bytes], Value],
        *,
        period: float = _PERIOD,
        cooldown: float = _COOLDOWN,
        timeout: float = _TIMEOUT,
    ) -> None:
        self._shown = url.partition("?")[0]  # a query may contain a secret
        super().__init__(f"watch {self._shown}", min(1.0, cooldown), self.look)
        self._url = url
        self._parse = parse
        self._period = period
        self._cooldown = cooldown
        self._timeout = timeout
        self._log = structlog.get_logger(url=self._shown)
        self._asked = Event()
        self._fetching: Thread | None = None
        self._last_problem = ""
        try:
            content = self._fetched()
            self.value = parse(content)
        except (OSError, ValueError) as error:
            raise StartError(f"{self._shown}: {reason_of(error)}") from error
        self.fetched = time.time()
        self._settled = sha256(content).digest()
        self._next = time.monotonic() + period
        self._not_ahead_before = 0.0

    def ask(self) -> None:
        """Requests a fetch, for example because a key is missing. It happens soon, `cooldown` permitting."""
        self._asked.set()

    def look(self) -> None:
        """Fetches the document if it is due."""
        now = time.monotonic()
        ahead = now < self._next
        if ahead and (now < self._not_ahead_before or not (self._asked.is_set() or self._last_problem)):
            return
        self._asked.clear()
        try:
            content = self._fetched()
            digest = sha256(content).digest()
            if digest != self._settled:
                self.value = self._parse(content)
                self._settled = digest
                self._log.info("url_reloaded")
            self.fetched = time.time()
            self._last_problem = ""
        except (OSError, ValueError) as error:
            self._report(reason_of(error))
        finally:
            self._next = time.monotonic() + self._period
            if ahead:
                self._not_ahead_before = time.monotonic() + self._cooldown

    def _report(self, problem: str) -> None:
        if problem != self._last_problem:
            self._last_problem = problem
            self._log.error("reload_failed", problem=problem)

    def _fetched(self) -> bytes:
        """Returns the response's body. Raises OSError or ValueError, within the timeout.

        A thread of its own fetches it, because no timeout of the standard library covers the resolution of a
        name, or a server or proxy that sends a byte now and then. At the timeout its sockets are closed, so
        that the thread ends; only a resolver that hangs can hold the next fetch.
        """
        late = f"no complete response within {self._timeout:g} s"
        if self._fetching is not None and self._fetching.is_alive():
            raise TimeoutError(late)
        sockets = _Sockets(time.monotonic() + self._timeout)
        responses: list[bytes | OSError | ValueError] = []

        def fetch() -> None:
            try:
                responses.append(_get(self._url, self._timeout, sockets))
            except (OSError, ValueError) as error:
                responses.append(error)

        self._fetching = Thread(target=fetch, name=f"fetch {self._shown}", daemon=True)
        self._fetching.start()
        self._fetching.join(self._timeout)
        arrived = list(responses)
        sockets.close()
        self._fetching.join(_CLOSING)
        if not arrived:
            raise TimeoutError(late)
        if isinstance(arrived[0], Exception):
            raise arrived[0]
        return arrived[0]


def check_url(text: str) -> str:
    """Returns the URL. Raises ValueError unless it is one of https or http."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError(f"{text!r} is not a URL; expected https://HOST/PATH") from None
    if url.username is not None:
        raise ValueError("a user or password in a URL is not valid: URLs are logged")
    if not host or not text.isascii() or not text.isprintable() or " " in text or url.fragment:
        raise ValueError(f"{text!r} is not a URL; expected https://HOST/PATH")
    if url.scheme not in {"https", "http"}:
        raise ValueError(f"{text!r} is not a URL of https; expected https://HOST/PATH")
    return text


def is_secure(url: str) -> bool:
    """Whether nobody on the network path can change the response: https, or http to a loopback address."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _loopback(str(parts.hostname))


def _loopback(host: str) -> bool:
    try:
        addresses = parse_address(f"[{host}]:0" if ":" in host else f"{host}:0")
    except ValueError:
        return False
    return all(address.loopback for address in addresses)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error, so that only the given URL is fetched."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


class _Sockets:
    """Opens the sockets of a fetch until `deadline`, a monotonic time. Any thread may close them."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._opened: list[socket.socket] = []
        self._closed = False
        self._changing = Lock()

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connects to the first address that accepts, and sets the timeout of single reads and writes.

        socket.create_connection would have the whole timeout for each address.
        """
        problem = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            opened = socket.socket(family, kind, protocol)
            try:
                opened.settimeout(max(self._deadline - time.monotonic(), 0.001))
                opened.connect(address)
            except OSError as error:
                opened.close()
                problem = error
            else:
                opened.settimeout(timeout)
                self._add(opened.dup())  # TLS takes the socket itself over
                return opened
        raise problem

    def close(self) -> None:
        """Ends what is being read and written; a socket that is opened later is closed at once."""
        with self._changing:
            self._closed = True
            closing, self._opened = self._opened, []
        for opened in closing:
            with suppress(OSError):  # the server may have closed it
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    def _add(self, opened: socket.socket) -> None:
        with self._changing:
            self._opened.append(opened)
            closed = self._closed
        if closed:
            self.close()


class _Connection(HTTPConnection):
    """Takes its socket from `sockets`, so that it can be closed during a proxy's and TLS's handshake, too."""

    sockets: _Sockets

    def connect(self) -> None:
        self._create_connection = self._connected
        super().connect()

    def _connected(self, address: tuple[str, int], timeout: float, _source: object) -> socket.socket:
        return self.sockets.connect(*address, timeout)


class _TlsConnection(HTTPSConnection, _Connection):
    pass


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections with the given sockets."""

    def __init__(self, sockets: _Sockets) -> None:
        super().__init__()
        self._sockets = sockets

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self._open(_Connection, req)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self._open(_TlsConnection, req)

    def _open(self, kind: type[_Connection], req: urllib.request.Request) -> HTTPResponse:
        def connection(host: str, /, **options: Any) -> HTTPConnection:
            made = kind(host, **options)
            made.sockets = self._sockets
            return made

        return self.do_open(connection, req)


def _get(url: str, timeout: float, sockets: _Sockets) -> bytes:
    # Some firewalls reject urllib's own User-Agent.
    headers = {"Accept": "application/json", "User-Agent": "jwks"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - check_url has checked the scheme
    handlers: list[Any] = [_NoRedirects(), _Handler(sockets)]
    if request.type == "http":
        # http is for this machine and, where APP_JWT_JWKS_ALLOW_HTTP permits it, the network around it.
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"the response has status {answer.status}")
            content: bytes = answer.read(_MAX_BYTES + 1)
            announced = int(answer.headers.get("Content-Length", 0))
    except urllib.error.HTTPError as error:
        error.close()
        raise ValueError(f"the response has status {error.code}") from None
    except urllib.error.URLError as error:
        reason = error.reason
        raise OSError(reason_of(reason) if isinstance(reason, Exception) else reason) from None
    except HTTPException:
        raise ValueError("the response is not HTTP") from None
    if len(content) > _MAX_BYTES:
        raise ValueError(f"the response is larger than {_MAX_BYTES // 1024} KiB")
    if len(content) < announced:
        raise ValueError("the response is incomplete")
    return content
