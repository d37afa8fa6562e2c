"""Binding the addresses that the server listens on."""

import errno
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

from app.core.address import Address
from app.core.errors import StartError
from app.core.file import reason_of


def bind(
    server: grpc.Server,
    addresses: Sequence[Address],
    credentials: Callable[[], grpc.ServerCredentials] | None = None,
) -> tuple[Address, ...]:
    """Binds every address, and returns them with their real ports.

    `credentials` returns new credentials for each address, because grpc refuses to use dynamic ones for a
    second address; without it, addresses are plaintext.

    The server must have been made with `grpc.so_reuseport` 0, or a taken port would be shared in silence.
    Raises StartError with every address that could not be bound.
    """
    listening: list[Address] = []
    problems: list[str] = []
    for address in addresses:
        wanted = address.beside(listening)
        try:
            if wanted.port is None:
                _check_socket(wanted.host)
            if credentials is None:
                port = server.add_insecure_port(str(wanted))
            else:
                port = server.add_secure_port(str(wanted), credentials())
        except OSError as error:
            problems.append(f"APP_LISTEN: {wanted} cannot be bound: {reason_of(error)}")
        except RuntimeError:
            problems.append(
                f"APP_LISTEN: {wanted} cannot be bound: another process listens there, or the address is not"
                " this machine's"
            )
        else:
            listening.append(wanted if wanted.port is None else wanted.at(port))
    if problems:
        raise StartError("\n".join(problems))
    return tuple(listening)


def _check_socket(path: str) -> None:
    """Raises OSError if a unix socket cannot be created or is in use: grpc would replace it."""
    if not Path(path).parent.is_dir():
        raise OSError(errno.ENOENT, f"there is no directory {Path(path).parent}")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")
