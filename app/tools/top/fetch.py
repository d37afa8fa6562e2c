"""HTTP requests to the metrics ports of servers, bounded in time and in size."""

import asyncio
import email.utils
import io
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any

from app.core.file import reason_of
from app.tools.top.addresses import Endpoint

# For one scrape of a server, in seconds.
TIMEOUT = 2.0
# The metrics of a server with 40 methods take 0.3 MB.
MAX_BYTES = 4 * 1024 * 1024
_PART = 64 * 1024
# Connections at once, as the usual limit of descriptors is 1024.
_AT_ONCE = 400


class FetchError(Exception):
    """Raised if a server does not answer, or with something else. Its text is for people."""


@dataclass(frozen=True)
class Scrape:
    """The metrics of a server. `at` is in seconds of `time.monotonic()`, `clock` in the server's time."""

    at: float
    clock: float
    text: str


class Fetcher:
    """Scrapes servers side by side, on one event loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def scrape(self, endpoint: Endpoint) -> Scrape:
        """Asks for `/metrics`, within TIMEOUT. Raises FetchError."""
        async with self._places:
            try:
                async with asyncio.timeout(TIMEOUT):
                    at = time.monotonic()
                    answer = _parse(await _get(endpoint))
            except TimeoutError:
                raise FetchError(f"no answer within {TIMEOUT:g} s") from None
            except OSError as error:
                raise FetchError(_reason(error)) from None
        if answer.status != HTTPStatus.OK:
            raise FetchError(f"/metrics answers with the HTTP status {answer.status}")
        return Scrape(at, answer.clock, answer.body.decode("utf-8", "replace"))


@dataclass(frozen=True)
class _Answer:
    status: int
    clock: float
    body: bytes


class _Received:
    """What has been received, in the place of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_arguments: object) -> io.BytesIO:
        return io.BytesIO(self._data)


async def _get(endpoint: Endpoint) -> bytes:
    """Returns everything that the server sends. Raises OSError and FetchError."""
    reader, writer = await _connect(endpoint)
    try:
        head = ["GET /metrics HTTP/1.1", f"Host: {endpoint.label}", "Accept: text/plain", "Connection: close"]
        writer.write("\r\n".join([*head, "", ""]).encode("ascii"))
        data = bytearray()
        while part := await reader.read(_PART):
            data += part
            if len(data) > MAX_BYTES:
                raise FetchError(f"/metrics is larger than {MAX_BYTES // 1024 // 1024} MB")
    finally:
        writer.transport.abort()
    return bytes(data)


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects to the first of the hosts that accepts. Raises OSError."""
    *others, last = endpoint.hosts
    for host in others:
        with suppress(OSError):
            return await asyncio.open_connection(host, endpoint.port)
    return await asyncio.open_connection(last, endpoint.port)


def _reason(error: OSError) -> str:
    """Returns the system's text; asyncio's has the address, too."""
    return os.strerror(error.errno) if error.errno else reason_of(error)


def _parse(data: bytes) -> _Answer:
    stand_in: Any = _Received(data)
    try:
        response = HTTPResponse(stand_in, method="GET")
        response.begin()
        body = response.read()
    except (HTTPException, ValueError):
        raise FetchError("the answer is not HTTP; is this the port of the metrics?") from None
    clock = time.time()
    with suppress(ValueError):
        clock = email.utils.parsedate_to_datetime(response.getheader("Date", "")).timestamp()
    return _Answer(response.status, clock, body)
