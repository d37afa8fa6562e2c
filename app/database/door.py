"""Whether something answers where a connection to PostgreSQL leads to."""

import socket
import struct
from contextlib import suppress

# What a client asks first if it may use TLS. PostgreSQL and PgBouncer answer it with one byte before a login,
# also while they have no connection to give.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def answers(descriptor: int, seconds: float) -> bool:
    """Whether the peer of that socket answers another connection within the seconds.

    PgBouncer holds a BEGIN back while its connections to PostgreSQL are in use, or it is paused; a host that
    is lost and a server that hangs do not answer.
    """
    with suppress(OSError), socket.socket(fileno=socket.dup(descriptor)) as connected:
        address = connected.getpeername()
        with socket.socket(connected.family, socket.SOCK_STREAM) as other:
            other.settimeout(seconds)
            other.connect(address)
            other.sendall(_SSL_REQUEST)
            return other.recv(1) != b""
    return False
