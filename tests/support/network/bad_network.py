"""A network between a client and a server, on loopback, that a test makes bad: slow, silent or cut."""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Any, Literal, Self

# What becomes of a connection: it ends, it is reset, or nothing passes it any more.
End = Literal["fin", "rst", "silence"]


@dataclass(frozen=True)
class _Trap:
    text: bytes
    end: End
    answered: bool


class _Link:
    """A client's connection, and ours to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.trap: _Trap | None = None
        self.silent = False

    def end(self, how: End) -> None:
        if how == "silence":
            self.silent = True
            return
        for one in (self.client, self.server):
            if how == "rst":
                with suppress(OSError):  # it has ended already
                    one.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                one.transport.abort()
            else:
                one.close()


class BadNetwork:
    """Inside `with`, connections to `target` lead to `leads_to`, which may change for later ones."""

    def __init__(self, leads_to: str) -> None:
        self.leads_to = leads_to
        self.delay = 0.0  # seconds that each piece of data is late
        self.target = ""
        self.accepted = 0  # connections so far
        self._trap: _Trap | None = None
        self._links: set[_Link] = set()
        self._opened: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="bad network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._on_loop(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        return int(self.target.rpartition(":")[2])

    def silence(self) -> None:
        """From now on nothing passes, new connections included, as where packets are dropped."""
        self._on_loop(self._set_sound(False))

    def heal(self) -> None:
        """What was held back arrives, as TCP sends it again."""
        self._on_loop(self._set_sound(True))

    def cut(self, how: End) -> None:
        """Ends the connections that there are; new ones are accepted."""
        self._on_loop(self._cut(how))

    def end_at(self, text: bytes, how: End, *, answered: bool = False) -> None:
        """Ends the next connection by which a client sends that text.

        The text does not arrive; or it does, and the answer to it is lost.
        """
        self._trap = _Trap(text, how, answered)

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._sound = asyncio.Event()
        self._sound.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.target = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._opened:
            one.transport.abort()
        await asyncio.gather(*(one.wait_closed() for one in self._opened), return_exceptions=True)

    async def _set_sound(self, sound: bool) -> None:
        if sound:
            self._sound.set()
        else:
            self._sound.clear()

    async def _cut(self, how: End) -> None:
        for link in self._links:
            link.end(how)

    def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._opened.append(client)
        task = self._loop.create_task(self._serve(reader, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            await self._sound.wait()
            host, _, port = self.leads_to.rpartition(":")
            answers, server = await asyncio.open_connection(host, int(port))
        except (OSError, asyncio.CancelledError):
            client.transport.abort()
            return
        self._opened.append(server)
        link = _Link(client, server)
        self._links.add(link)
        both = [
            self._loop.create_task(self._up(link, reader)),
            self._loop.create_task(self._down(link, answers)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            await self._sound.wait()
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._links.discard(link)
            link.end("fin")

    async def _up(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            trap = self._trap
            if trap is not None and trap.text in data:
                self._trap = None
                if not trap.answered:
                    link.end(trap.end)
                    continue
                link.trap = trap
            await self._pass(link, link.server, data)

    async def _down(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            if link.trap is not None:
                link.end(link.trap.end)
                link.trap = None
                continue
            await self._pass(link, link.client, data)

    async def _pass(self, link: _Link, to: asyncio.StreamWriter, data: bytes) -> None:
        await self._sound.wait()
        await asyncio.sleep(self.delay)
        if not link.silent:
            to.write(data)
            await to.drain()
