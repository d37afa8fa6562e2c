"""A client of HTTP/2's frames (RFC 9113), for what gRPC's own clients hide: pings, settings, goodbyes."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE = 3, 6
ACK = END_STREAM = 1
END_HEADERS = 4
REFUSED_STREAM = 7


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class Connection:
    """An open connection whose preface has been sent."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._read = b""
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(SETTINGS)

    def send(self, kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> None:
        head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        self._socket.sendall(head + payload)

    def ping(self) -> None:
        self.send(PING, b"ping" * 2)

    def open_stream(self, stream: int, path: str) -> None:
        """Begins a call, and sends nothing of its request."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "test",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        # Literal fields, never indexed: RFC 7541, section 6.2.2.
        block = b"".join(
            b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
            for name, value in headers.items()
        )
        self.send(HEADERS, block, END_HEADERS, stream)

    def frame(self, seconds: float) -> Frame | None:
        """The next frame, or None where none comes in time. Raises EOFError once the server has closed."""
        end = time.monotonic() + seconds
        while (found := self._parsed()) is None:
            remaining = end - time.monotonic()
            if remaining <= 0:
                return None
            self._socket.settimeout(remaining)
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                return None
            except ConnectionError:
                received = b""
            if not received:
                raise EOFError
            self._read += received
        return found

    def frames(self, kind: int, seconds: float) -> list[Frame]:
        """All frames of that kind that come in that time, or until the server has closed."""
        found: list[Frame] = []
        end = time.monotonic() + seconds
        while True:
            try:
                frame = self.frame(end - time.monotonic())
            except EOFError:
                return found
            if frame is None:
                return found
            if frame.kind == kind:
                found.append(frame)

    def wait_for(self, kind: int, seconds: float = 5) -> Frame:
        """The next frame of that kind. Raises EOFError once the server has closed."""
        end = time.monotonic() + seconds
        while True:
            frame = self.frame(end - time.monotonic())
            assert frame is not None, "the frame did not come"
            if frame.kind == kind:
                return frame

    def _parsed(self) -> Frame | None:
        size = 9 + int.from_bytes(self._read[:3])
        if len(self._read) < 9 or len(self._read) < size:
            return None
        taken, self._read = self._read[:size], self._read[size:]
        return Frame(taken[3], taken[4], int.from_bytes(taken[5:9]), taken[9:])


@contextmanager
def connected(target: str) -> Iterator[Connection]:
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as opened:
        yield Connection(opened)
