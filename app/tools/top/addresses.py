"""The addresses that `top` is given, and the servers at them."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Thread
from typing import NamedTuple

from app.core.errors import UsageError

DEFAULT_PORT = 9464
_LAST_PORT = 65_535
# A URL of the metrics is accepted, because the server's log has one, and so is a target of the client.
_ADDRESS = re.compile(
    r"(?:http://|dns:///|dns:)?(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?(?:/(?:metrics)?)?", re.ASCII
)
# `make run` listens on both.
_LOCALHOST = ("127.0.0.1", "::1")

# Returns the addresses of a name, of one family or both. Raises OSError.
LookUp = Callable[[str], list[str]]


class Endpoint(NamedTuple):
    """A server: what people call it, and the IP addresses at which to try it, in their order."""

    label: str
    hosts: tuple[str, ...]
    port: int


@dataclass(frozen=True)
class Target:
    """An address as it was given: of one server, or the name of several."""

    host: str
    port: int

    @property
    def label(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def single(self) -> Endpoint | None:
        """The server, if it is one; None for a name that has to be looked up."""
        if self.host == "localhost":
            return Endpoint(self.label, _LOCALHOST, self.port)
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return None
        return Endpoint(self.label, (self.host,), self.port)


def parse_targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """Parses HOST:PORT, or several of them separated by commas. Raises UsageError."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(_parse_target(part) for part in parts))


def _parse_target(text: str) -> Target:
    match = _ADDRESS.fullmatch(text)
    port = int(match[3] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port <= _LAST_PORT:
        raise UsageError(
            f"invalid address {text!r}: expected HOST:PORT of a metrics port,"
            f" such as localhost:{DEFAULT_PORT}"
        )
    return Target(match[1] or match[2], port)


def look_up(host: str) -> list[str]:
    """Looks a name up as the system does. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    return [str(address[0]) for *_, address in found]


async def servers_of(target: Target, look_up: LookUp, seconds: float) -> tuple[Endpoint, ...]:
    """Returns the server of the target, or each one of those that its name has. Raises OSError.

    A server of a cluster with both families has an address of each, so only IPv4 ones are taken if there are
    any.
    """
    if (single := target.single) is not None:
        return (single,)
    async with asyncio.timeout(seconds):
        found = await _on_a_thread(lambda: look_up(target.host))
    hosts = sorted({ipaddress.ip_address(host.partition("%")[0]) for host in found}, key=int)
    version = min((host.version for host in hosts), default=4)
    labelled = (Target(str(host), target.port) for host in hosts if host.version == version)
    return tuple(Endpoint(one.label, (one.host,), one.port) for one in labelled)


async def _on_a_thread(function: Callable[[], list[str]]) -> list[str]:
    """Runs it on a thread that does not keep the process from exiting: look-ups have no timeout."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()

    def run() -> None:
        try:
            result = function()
        except OSError as error:
            _tell(loop, future, lambda failed=error: future.set_exception(failed))  # type: ignore[misc]
        else:
            _tell(loop, future, lambda: future.set_result(result))

    Thread(target=run, name="look up a name", daemon=True).start()
    return await future


def _tell(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[list[str]]", act: Callable[[], None]
) -> None:
    try:
        loop.call_soon_threadsafe(lambda: None if future.done() else act())
    except RuntimeError:  # the loop is closed
        return
