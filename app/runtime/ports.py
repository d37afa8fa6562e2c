"""Binding the addresses to listen on."""

from collections.abc import Sequence

import grpc

from app.core.address import Address
from app.core.errors import StartError


def bind(server: grpc.Server, addresses: Sequence[Address]) -> tuple[Address, ...]:
    """Binds every address, and returns them with their real ports.

    The server must have been made with `grpc.so_reuseport` 0, or a taken port would be shared in silence.
    Raises StartError with every address that could not be bound.
    """
    bound: list[Address] = []
    problems: list[str] = []
    for address in addresses:
        # Both addresses of localhost get the same port, also where it is chosen by the system.
        wanted = address
        if address.port == 0:
            wanted = address.at(next((one.port for one in bound if one.port), 0))
        try:
            port = server.add_insecure_port(str(wanted))
        except RuntimeError:
            problems.append(
                f"APP_LISTEN: {wanted} cannot be bound: another process listens there, or the address is not"
                " this machine's"
            )
        else:
            bound.append(wanted if wanted.port is None else wanted.at(port))
    if problems:
        raise StartError("\n".join(problems))
    return tuple(bound)
