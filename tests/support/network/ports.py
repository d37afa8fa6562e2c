"""Ports for programs that are started, and perhaps stopped and started again."""

import random
import socket
from contextlib import ExitStack, suppress

# Linux gives outgoing connections ports from 32768 on.
_BELOW_THE_EPHEMERAL = (15_000, 32_000)


def unused_ports(number: int) -> list[int]:
    """Ports that stay unused until they are listened on: outgoing connections have others.

    They are chosen at random, so that tests side by side do not choose the same.
    """
    with ExitStack() as taken:
        sockets: list[socket.socket] = []
        while len(sockets) < number:
            with suppress(OSError):
                port = random.randrange(*_BELOW_THE_EPHEMERAL)  # noqa: S311 - not for a secret
                sockets.append(taken.enter_context(socket.create_server(("127.0.0.1", port))))
        return [one.getsockname()[1] for one in sockets]
