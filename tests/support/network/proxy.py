"""A TCP proxy on loopback, whose connections can be cut."""

import socket
import threading
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import Self


class Proxy:
    """Each connection goes to the next of the targets."""

    def __init__(self, *targets: str, source: str = "127.0.0.1") -> None:
        """`source` is the address that the targets see."""
        self._source = source
        hosts = [target.rpartition(":") for target in targets]
        self._to = cycle([(host, int(port)) for host, _, port in hosts])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """Ends every connection, both ways and without a word of HTTP/2, and takes no more."""
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it, which closing does not
            one.close()

    def end(self, number: int) -> None:
        """Ends one connection, both ways; the first is 0."""
        for one in self._sockets[2 * number : 2 * number + 2]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(next(self._to), source_address=(self._source, 0))
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self.forward(data, other)

    def forward(self, data: bytes, other: socket.socket) -> None:
        """Sends on what has come."""
        other.sendall(data)
