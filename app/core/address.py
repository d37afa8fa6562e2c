"""Addresses to listen on."""

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_RIGHT = (
    "write HOST:PORT with an IP address or localhost, such as 127.0.0.1:50051 or [::]:50051, or unix:/PATH"
)


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is an IP address without brackets, or a socket's path where `port` is None."""

    host: str
    port: int | None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it: 127.0.0.0/8, ::1, or a unix socket."""
        return self.port is None or ipaddress.ip_address(self.host).is_loopback

    def at(self, port: int) -> "Address":
        return Address(self.host, port)

    def beside(self, bound: "Iterable[Address]") -> "Address":
        """With the port of those that are bound already, where its own is the system's to choose.

        So both addresses of localhost have the same port.
        """
        return self if self.port != 0 else self.at(next((one.port for one in bound if one.port), 0))

    def __str__(self) -> str:
        if self.port is None:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> tuple[Address, ...]:
    """Reads one address. `localhost` is two: its IPv4 and its IPv6 one.

    Raises ValueError, in words, for anything that gRPC would bind in part, elsewhere or not at all.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path:
            raise ValueError(f"{text!r} names no socket: {_RIGHT}")
        return (Address(path, None),)
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 0xFFFF:  # noqa: PLR2004
        raise ValueError(f"{text!r} has no port from 0 to 65535: {_RIGHT}")
    if host == "localhost":
        return (Address("127.0.0.1", int(port)), Address("::1", int(port)))
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"{host!r} in {text!r} is no IP address: {_RIGHT}") from None
    if bracketed != (ip.version == 6):  # noqa: PLR2004
        raise ValueError(f"{text!r}: an IPv6 address, and no other, stands in brackets: {_RIGHT}")
    return (Address(str(ip), int(port)),)


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Reads one address or more, by commas. Raises ValueError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"an address is missing in {text!r}: {_RIGHT}")
    found = tuple(address for part in parts for address in parse_address(part))
    for address in found:
        if address.port != 0 and found.count(address) > 1:
            raise ValueError(f"{address} stands in {text!r} twice")
    return found
