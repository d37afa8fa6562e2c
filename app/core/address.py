"""Addresses to listen on."""

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXPECTED = (
    "expected HOST:PORT with an IP address or localhost, such as 127.0.0.1:50051 or [::]:50051, or unix:/PATH"
)
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `host` is an IP address without brackets, or a socket's path if `port` is None."""

    host: str
    port: int | None

    @property
    def loopback(self) -> bool:
        """Whether it is reachable from this machine only: 127.0.0.0/8, ::1, or a unix socket."""
        return self.port is None or ipaddress.ip_address(self.host).is_loopback

    def at(self, port: int) -> "Address":
        return Address(self.host, port)

    def beside(self, others: "Iterable[Address]") -> "Address":
        """Returns the address with the port of `others` if its own is 0, which lets the system choose.

        So both addresses of localhost have the same port.
        """
        return self if self.port != 0 else self.at(next((one.port for one in others if one.port), 0))

    def __str__(self) -> str:
        if self.port is None:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> tuple[Address, ...]:
    """Parses one address. `localhost` is two: its IPv4 and its IPv6 address.

    Raises ValueError for anything that gRPC would bind in part, elsewhere or not at all.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path:
            raise ValueError(f"{text!r} has no path; {_EXPECTED}")
        return (Address(path, None),)
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _LAST_PORT:
        raise ValueError(f"{text!r} has no port from 0 to 65535; {_EXPECTED}")
    if host == "localhost":
        return (Address("127.0.0.1", int(port)), Address("::1", int(port)))
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"{host!r} in {text!r} is not an IP address; {_EXPECTED}") from None
    if bracketed != isinstance(ip, ipaddress.IPv6Address):
        raise ValueError(f"{text!r}: brackets belong around an IPv6 address only; {_EXPECTED}")
    return (Address(str(ip), int(port)),)


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Parses addresses that are separated by commas. Raises ValueError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"an address is missing in {text!r}; {_EXPECTED}")
    found = tuple(address for part in parts for address in parse_address(part))
    for address in found:
        if address.port != 0 and found.count(address) > 1:
            raise ValueError(f"{address} is listed twice in {text!r}")
    return found
