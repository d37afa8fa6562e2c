"""The way of one server to PostgreSQL, which can be cut."""

import socket
import threading
from contextlib import suppress

from tests.support.network.proxy import Proxy


class Wire(Proxy):
    """A proxy that goes on after its connections were cut, and while nothing listens at its target."""

    def cut_connections(self) -> None:
        """Ends those that there are, both ways."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it, which closing does not
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(next(self._to), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets += [client, server]
        threading.Thread(target=self._join, args=(client, server), daemon=True).start()
        self._join(server, client)

    def _join(self, one: socket.socket, other: socket.socket) -> None:
        """Forwards, and ends both when one has ended."""
        self._forward(one, other)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
