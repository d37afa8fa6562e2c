"""A client of HTTP/2's frames that does what no honest client does."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.support.network.http2 import PREFACE, Frames

# How gRPC's codes are on the wire, as far as an attacker meets them.
CODES = {
    "0": "OK",
    "1": "CANCELLED",
    "3": "INVALID_ARGUMENT",
    "4": "DEADLINE_EXCEEDED",
    "8": "RESOURCE_EXHAUSTED",
    "12": "UNIMPLEMENTED",
    "14": "UNAVAILABLE",
    "16": "UNAUTHENTICATED",
}

# The address that attackers call from: the honest client has another one.
SOURCE = "127.0.0.2"

_WINDOW = 65_535  # bytes of replies that a connection may send at first


def connection(target: str, source: str = SOURCE) -> socket.socket:
    """An open connection from that address. A second without progress is a TimeoutError."""
    host, _, port = target.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=1, source_address=(source, 0))


def connections(target: str, number: int) -> list[socket.socket]:
    """That many, or as many as the server takes."""
    opened: list[socket.socket] = []
    with suppress(OSError):
        opened += (connection(target) for _ in range(number))
    return opened


def paced(rate: float, seconds: float) -> Iterator[int]:
    """How many of so many a second are due, every few milliseconds, for so long."""
    began, done = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) - done
        if due > 0:
            yield due
            done += due
        time.sleep(0.005)


class Attacker:
    """One connection, which answers pings and settings, and writes down how its calls end."""

    def __init__(
        self, target: str, *, token: str = "", window: int | None = None, source: str = SOURCE
    ) -> None:
        """`window` is for the replies of each call, in bytes."""
        self._socket = connection(target, source)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._token = token
        self._sending = threading.Lock()
        self._next = 1
        self.gone = False  # whether the server has closed the connection
        self.open: dict[int, float] = {}  # streams that have not ended, and when they began
        self.ended: Counter[str] = Counter()  # how many calls ended with which code
        self._unacknowledged = 0  # bytes of replies since the last update of the connection's window
        self.longest = 0.0  # seconds that a call which has ended was open
        own = {} if window is None else {SettingsFrame.INITIAL_WINDOW_SIZE: window}
        self.send(SettingsFrame(settings=own), before=PREFACE)
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, *frames: Frame, before: bytes = b"") -> None:
        self.send_bytes(before + b"".join(frame.serialize() for frame in frames))

    def send_bytes(self, data: bytes) -> None:
        with self._sending:
            self._socket.sendall(data)

    def block(self, path: str, **metadata: str) -> bytes:
        """The headers of a call, encoded so that any number of calls may have them."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "attack",
            "te": "trailers",
            "content-type": "application/grpc",
            **({"authorization": f"Bearer {self._token}"} if self._token else {}),
            **{name.replace("_", "-"): value for name, value in metadata.items()},
        }
        return self._encoder.encode([NeverIndexedHeaderTuple(*field) for field in fields.items()])

    def stream(self) -> int:
        """The next stream's number."""
        number = self._next
        self.open[number] = time.monotonic()
        self._next += 2
        return number

    def headers(self, block: bytes, *flags: str) -> HeadersFrame:
        """The frame that begins the next call."""
        return HeadersFrame(self.stream(), block, flags=["END_HEADERS", *flags])

    def begin(self, path: str, calls: int, **metadata: str) -> list[int]:
        """Begins that many calls, sends nothing of their requests, and returns their streams."""
        block = self.block(path, **metadata)
        frames = [self.headers(block) for _ in range(calls)]
        self.send(*frames)
        return [frame.stream_id for frame in frames]

    def call(self, path: str, calls: int, message: bytes = b"") -> None:
        """Makes that many calls, complete with their requests."""
        block = self.block(path)
        for _ in range(calls):
            frame = self.headers(block)
            self.send(frame, data(frame.stream_id, message, "END_STREAM"))

    def message(self, stream: int, message: bytes, *, declared: int | None = None) -> None:
        """A message, or less of it than it says, and the stream stays open."""
        self.send(data(stream, message, declared=declared))

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        frames = Frames()
        while True:
            try:
                received = self._socket.recv(65536)
                if not received:
                    break
                for frame in frames.split(received):
                    self._seen(frame)
            except TimeoutError:
                continue
            except (HyperframeError, HPACKError, OSError):
                break
        self.gone = True

    def _seen(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(flags=["ACK"]))
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self.send(PingFrame(opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, HeadersFrame):
            fields = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
            if (status := fields.get("grpc-status")) is not None:
                self._over(frame.stream_id, CODES.get(status, status))
        elif isinstance(frame, DataFrame):
            self._unacknowledged += frame.flow_controlled_length
            if self._unacknowledged > _WINDOW // 2:  # or the connection's replies would stop at 64 KiB in all
                self.send(WindowUpdateFrame(0, window_increment=self._unacknowledged))
                self._unacknowledged = 0
        elif isinstance(frame, RstStreamFrame):
            self._over(frame.stream_id, f"RST {frame.error_code}")
        elif isinstance(frame, GoAwayFrame):
            self.ended["GOAWAY"] += 1

    def _over(self, stream: int, code: str) -> None:
        began = self.open.pop(stream, None)
        if began is not None:
            self.ended[code] += 1
            self.longest = max(self.longest, time.monotonic() - began)


def data(
    stream: int, message: bytes, *flags: str, declared: int | None = None, compressed: int = 0
) -> DataFrame:
    """A frame with a message as gRPC has it."""
    head = struct.pack(">BI", compressed, len(message) if declared is None else declared)
    return DataFrame(stream, head + message, flags=list(flags))
