"""A client of HTTP/2's frames (RFC 9113), for what gRPC's own clients hide or refuse to send."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

# It logs the headers that it encodes, tokens among them. Tests search the log of their process for these.
logging.getLogger("hpack").setLevel(logging.INFO)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = 9  # bytes before a frame's body

Kind = TypeVar("Kind", bound=Frame)


class Frames:
    """Splits one direction of a connection into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes; a client's preface is none of them."""
        self._rest += data
        if self._rest.startswith(PREFACE):
            self._rest = self._rest.removeprefix(PREFACE)
        while len(self._rest) >= HEAD:
            frame, length = Frame.parse_frame_header(memoryview(self._rest[:HEAD]))
            if len(self._rest) < HEAD + length:
                return
            frame.parse_body(memoryview(self._rest[HEAD : HEAD + length]))
            self._rest = self._rest[HEAD + length :]
            yield frame


class Connection:
    """An open connection whose preface has been sent."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._frames = Frames()
        self._read: list[Frame] = []
        self._encoder = Encoder()
        self._socket.sendall(PREFACE)
        self.send(SettingsFrame(0))

    def send(self, frame: Frame) -> None:
        self._socket.sendall(frame.serialize())

    def ping(self) -> None:
        self.send(PingFrame(0, b"ping" * 2))

    def open_stream(self, stream: int, path: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Begins a call, and sends nothing of its request. The headers are sent as they are given."""
        self.send(self._head(stream, path, headers))

    def open_and_reset(self, streams: Iterable[int], path: bytes) -> None:
        """Begins calls and cancels each at once, all in one write."""
        self._socket.sendall(
            b"".join(
                self._head(stream, path).serialize() + RstStreamFrame(stream, error_code=8).serialize()
                for stream in streams
            )
        )

    def _head(self, stream: int, path: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> HeadersFrame:
        known = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"test")]
        known += [(b"te", b"trailers"), (b"content-type", b"application/grpc")]
        block = self._encoder.encode(
            [NeverIndexedHeaderTuple(name, value) for name, value in (*known, *headers)], huffman=False
        )
        return HeadersFrame(stream, block, flags=["END_HEADERS"])

    def frame(self, seconds: float) -> Frame | None:
        """The next frame, or None where none comes in time. Raises EOFError once the server has closed."""
        end = time.monotonic() + seconds
        while not self._read:
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
            self._read += self._frames.split(received)
        return self._read.pop(0)

    def frames(self, kind: type[Kind], seconds: float) -> list[Kind]:
        """All frames of that kind that come in that time, or until the server has closed."""
        found: list[Kind] = []
        end = time.monotonic() + seconds
        while True:
            try:
                frame = self.frame(end - time.monotonic())
            except EOFError:
                return found
            if frame is None:
                return found
            if isinstance(frame, kind):
                found.append(frame)

    def wait_for(self, kind: type[Kind], seconds: float = 5) -> Kind:
        """The next frame of that kind. Raises EOFError once the server has closed."""
        end = time.monotonic() + seconds
        while True:
            frame = self.frame(end - time.monotonic())
            assert frame is not None, "the frame did not come"
            if isinstance(frame, kind):
                return frame

    def wait_for_end(self, seconds: float = 5) -> None:
        """Waits until the server has closed the connection."""
        end = time.monotonic() + seconds
        try:
            while self.frame(end - time.monotonic()) is not None:
                pass
        except EOFError:
            return
        raise AssertionError("the server has not closed the connection")


@contextmanager
def connected(target: str) -> Iterator[Connection]:
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as opened:
        yield Connection(opened)


def unary_call(target: str, path: bytes, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Makes a call with an empty request, and waits for its end.

    Returns `answered`, `reset`, or `gone` where the server ends the connection with the call.
    """
    with connected(target) as connection:
        connection.open_stream(1, path, headers)
        connection.send(DataFrame(1, bytes(5), flags=["END_STREAM"]))  # an empty message
        try:
            while True:
                match connection.frame(5):
                    case None:
                        raise AssertionError("the call has not ended")
                    case GoAwayFrame():
                        return "gone"
                    case RstStreamFrame(stream_id=1):
                        return "reset"
                    case DataFrame(stream_id=1) | HeadersFrame(stream_id=1) as frame:
                        if "END_STREAM" in frame.flags:
                            return "answered"
        except EOFError:
            return "gone"
