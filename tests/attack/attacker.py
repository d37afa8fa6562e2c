"""A client of HTTP/2's frames that does what no honest client does."""

import socket
import struct
import threading
import time
from collections import Counter

from hpack import Decoder, Encoder
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
)

from tests.support.network.http2 import PREFACE, Frames

# How gRPC's codes are on the wire, as far as an attacker meets them.
CODES = {
    "0": "OK",
    "1": "CANCELLED",
    "4": "DEADLINE_EXCEEDED",
    "8": "RESOURCE_EXHAUSTED",
    "12": "UNIMPLEMENTED",
}


class Attacker:
    """One connection, which answers pings and settings, and writes down how its calls end."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._encoder, self._decoder = Encoder(), Decoder()
        self._sending = threading.Lock()
        self._next = 1
        self.open: dict[int, float] = {}  # streams that have not ended, and when they began
        self.ended: Counter[str] = Counter()  # how many calls ended with which code
        self.longest = 0.0  # seconds that a call which has ended was open
        self.send(SettingsFrame(), before=PREFACE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, *frames: Frame, before: bytes = b"") -> None:
        with self._sending:
            self._socket.sendall(before + b"".join(frame.serialize() for frame in frames))

    def headers(self, path: str, **metadata: str) -> HeadersFrame:
        """The frame that begins a call."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "attack"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata.items(),
        ]
        frame = HeadersFrame(self._next, self._encoder.encode(fields), flags=["END_HEADERS"])
        self.open[self._next] = time.monotonic()
        self._next += 2
        return frame

    def begin(self, path: str, calls: int) -> None:
        """Begins that many calls, and sends nothing of their requests."""
        self.send(*(self.headers(path) for _ in range(calls)))

    def message(self, stream: int, message: bytes, *, declared: int | None = None) -> None:
        """A message, or less of it than it says, and the stream stays open."""
        head = struct.pack(">BI", 0, len(message) if declared is None else declared)
        self.send(DataFrame(stream, head + message))

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        frames = Frames()
        while True:
            try:
                received = self._socket.recv(65536)
                if not received:
                    return
                for frame in frames.split(received):
                    self._seen(frame)
            except (HyperframeError, HPACKError, OSError):
                return

    def _seen(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(flags=["ACK"]))
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self.send(PingFrame(opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, HeadersFrame):
            fields = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
            if (status := fields.get("grpc-status")) is not None:
                self._over(frame.stream_id, CODES.get(status, status))
        elif isinstance(frame, RstStreamFrame):
            self._over(frame.stream_id, f"RST {frame.error_code}")
        elif isinstance(frame, GoAwayFrame):
            self.ended["GOAWAY"] += 1

    def _over(self, stream: int, code: str) -> None:
        began = self.open.pop(stream, None)
        if began is not None:
            self.ended[code] += 1
            self.longest = max(self.longest, time.monotonic() - began)
