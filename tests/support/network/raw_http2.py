"""A unary gRPC call written byte by byte, for what gRPC's own clients refuse to send (RFC 9113, RFC 7541)."""

import socket
from collections.abc import Sequence
from itertools import chain

_DATA, _HEADERS, _RESET, _SETTINGS, _GO_AWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
_STREAM = 1


def raw_call(address: str, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Sends the call and waits for its end: `answered`, `reset`, or `gone` with its connection."""
    host, _, port = address.rpartition(":")
    known = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"test")]
    known += [(b"te", b"trailers"), (b"content-type", b"application/grpc")]
    block = b"".join(_literal(name, value) for name, value in chain(known, headers))
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, b"")
            + _frame(_HEADERS, _END_HEADERS, _STREAM, block)
            + _frame(_DATA, _END_STREAM, _STREAM, bytes(5))  # an empty message
        )
        with connection.makefile("rb") as incoming:
            while head := incoming.read(9):
                size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                stream = int.from_bytes(head[5:])
                incoming.read(size)
                if kind == _GO_AWAY:
                    return "gone"
                if stream == _STREAM and kind == _RESET:
                    return "reset"
                if stream == _STREAM and kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                    return "answered"
    return "gone"


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def _literal(name: bytes, value: bytes) -> bytes:
    """A field that is neither compressed nor remembered."""
    return b"\x00" + _length(name) + name + _length(value) + value


def _length(text: bytes) -> bytes:
    if len(text) < 0x7F:
        return bytes([len(text)])
    rest, found = len(text) - 0x7F, b"\x7f"
    while rest >= 0x80:
        found += bytes([rest % 0x80 + 0x80])
        rest //= 0x80
    return found + bytes([rest])
