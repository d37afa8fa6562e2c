"""An HTTP port whose clients are bounded: in number, in what they send, and in time."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from app.runtime.http_request import MAX_HEAD, Request, RequestError, read_request

# The errors of accept that mean that there is no descriptor, or no memory, for another connection.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Descriptors that are kept to accept connections when the process has none left.
_SPARE = 4
# Before connections are accepted again after an error, in seconds.
_PAUSE = 0.2
# What is sent before the client must have taken earlier parts, so that one that does not read holds little.
_PART = 64 * 1024

TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


@dataclass(frozen=True)
class Answer:
    """A response; the port adds the headers about the connection and the body's length."""

    status: HTTPStatus
    body: bytes
    headers: tuple[tuple[str, str], ...] = TEXT


class HttpPort:
    """Answers one request on each connection, all on the thread of the event loop, and closes it.

    A connection is closed `timeout` seconds after it was accepted, whatever its client has sent or read. When
    `max_connections` are open, or no descriptor is left, the next one replaces the oldest. So requests that
    are answered at once, such as probes, are answered while others hold connections.
    """

    def __init__(
        self, answer: Callable[[Request], Awaitable[Answer]], *, max_connections: int, timeout: float
    ) -> None:
        self._answer = answer
        self._max_connections = max_connections
        self._timeout = timeout
        self._listening: set[socket.socket] = set()
        self._open: dict[asyncio.Task[None], None] = {}  # in the order of acceptance
        self._replaced: set[asyncio.Task[None]] = set()  # those that are being closed for others
        self._spare: list[int] = []

    @asynccontextmanager
    async def serving(self, listening: Sequence[socket.socket]) -> AsyncIterator[None]:
        """Accepts connections until exit, which closes those that are open."""
        self._listening = set(listening)
        self._take_spare()
        for each in listening:
            each.setblocking(False)
            self._resume(each)
        try:
            yield
        finally:
            for each in listening:
                asyncio.get_running_loop().remove_reader(each)
            self._listening.clear()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, *self._replaced, return_exceptions=True)
            while self._spare:
                os.close(self._spare.pop())

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._retry(listening, exhausted=error.errno in _EXHAUSTED)
            return
        connection.setblocking(False)
        if len(self._open) >= self._max_connections:
            self._replace_oldest()
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._open[task] = None
        task.add_done_callback(lambda _: self._ended(task, connection))

    def _retry(self, listening: socket.socket, *, exhausted: bool) -> None:
        if exhausted and self._spare:
            os.close(self._spare.pop())
            self._accept(listening)
        elif exhausted and (self._open or self._replaced):
            if not self._replaced:
                self._replace_oldest()
            # The loop accepts again: the descriptor is free in a moment.
        else:
            # The loop would accept again at once, and fail again.
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(_PAUSE, self._resume, listening)

    def _replace_oldest(self) -> None:
        task = next(iter(self._open))
        del self._open[task]
        self._replaced.add(task)
        task.cancel()

    def _ended(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self._open.pop(task, None)
        self._replaced.discard(task)
        connection.close()
        self._take_spare()
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a request was not answered", "exception": error}
            task.get_loop().call_exception_handler(context)

    def _take_spare(self) -> None:
        with suppress(OSError):
            while len(self._spare) < _SPARE:
                self._spare.append(os.open(os.devnull, os.O_RDONLY))

    async def _serve(self, connection: socket.socket) -> None:
        # Clients that hang up, or are too slow.
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD)
                try:
                    await self._exchange(reader, writer)
                finally:
                    writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)
        try:
            request = await read_request(reader)
            answer, body = await self._answer(request), request.method != "HEAD"
        except RequestError as error:
            answer, body = Answer(error.status, f"{error}\n".encode()), True
        headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
        headers += [("Date", formatdate(usegmt=True)), ("Connection", "close")]
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for begin in range(0, len(answer.body) if body else 0, _PART):
            writer.write(answer.body[begin : begin + _PART])
            await writer.drain()
        await writer.drain()
        writer.write_eof()
