"""A name server of the tests' own, for `dns://` targets."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET, inet_pton
from socketserver import BaseRequestHandler, ThreadingUDPServer

_HEADER = struct.Struct("!6H")  # RFC 1035, 4.1.1: id, flags, and how many of each section
_RECORD = struct.Struct("!3HIH")  # 4.1.3: the name's place, type, class, seconds to live, length
_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583
_NAME_OF_THE_QUESTION = 0xC00C
_A, _IN = 1, 1


class NameServer:
    """Answers with the addresses that a name has at the moment, over UDP; every other name does not exist.

    `addresses` may be replaced from any thread; `asked` is how often the addresses were asked for.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.addresses: tuple[str, ...] = ()
        self.asked = 0
        self._port = port

    def target(self, port: int) -> str:
        """What a client is given, to reach that port at all addresses."""
        return f"dns://127.0.0.1:{self._port}/{self.name}:{port}"

    def answer(self, query: bytes) -> bytes:
        number, _, questions, *_ = _HEADER.unpack_from(query)
        assert questions == 1
        labels, end = [], _HEADER.size
        while length := query[end]:
            labels.append(query[end + 1 : end + 1 + length].decode())
            end += 1 + length
        end += 1
        kind, _ = struct.unpack_from("!2H", query, end)
        question = query[_HEADER.size : end + 4]
        known = ".".join(labels).lower() == self.name
        addresses = self.addresses if known and kind == _A else ()
        self.asked += known and kind == _A
        header = _HEADER.pack(number, _ANSWER if known else _NO_SUCH_NAME, 1, len(addresses), 0, 0)
        records = (
            _RECORD.pack(_NAME_OF_THE_QUESTION, _A, _IN, 0, 4) + inet_pton(AF_INET, address)
            for address in addresses
        )
        return b"".join((header, question, *records))


@contextmanager
def name_server(name: str) -> Iterator[NameServer]:
    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            query, socket = self.request
            socket.sendto(names.answer(query), self.client_address)

    with ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        names = NameServer(name, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="name server")
        thread.start()
        try:
            yield names
        finally:
            server.shutdown()
            thread.join()
