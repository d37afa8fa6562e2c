"""Which protocol a port speaks: HTTP/2, TLS, HTTP/1, another one, or none."""

import re
import socket
import ssl
from contextlib import suppress

from app.tools.doctor.facts import Answer, Facts, Protocol

# The beginning of HTTP/2 (RFC 9113, section 3.4): the preface, and empty SETTINGS.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS, _HEAD = 4, 9
_GET = b"GET /metrics HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n"
_METRICS = re.compile(rb"(?im)^content-type:.*(openmetrics|version=)|^# HELP ")
_ENOUGH = 4096


def connect(facts: Facts, port: int | None = None) -> socket.socket:
    """Connects to the first address. Raises OSError."""
    return socket.create_connection((facts.addresses[0], port or facts.port), facts.seconds())


def identify(facts: Facts, port: int | None = None) -> Answer:
    """Tries plaintext HTTP/2, then TLS, then HTTP/1. Raises OSError."""
    with connect(facts, port) as connection:
        answer = greet(facts, connection)
    if answer.protocol is Protocol.HTTP2:
        return answer
    if _speaks_tls(facts, port):
        return Answer(Protocol.TLS)
    if answer.protocol is Protocol.SILENT:
        return answer
    with connect(facts, port) as connection:
        received, _ = _exchange(facts, connection, _GET, _ENOUGH)
    if received and received.startswith(b"HTTP/1."):
        return Answer(Protocol.HTTP1, _first_line(received), metrics=bool(_METRICS.search(received)))
    return answer


def greet(facts: Facts, connection: socket.socket) -> Answer:
    """Begins HTTP/2 on a connection, and reads its first frame, which must be SETTINGS."""
    received, why = _exchange(facts, connection, _PREFACE, _HEAD)
    if not received:
        return Answer(Protocol.SILENT if received is None else Protocol.CLOSED, why)
    if len(received) >= _HEAD and received[3] == _SETTINGS and received[5:9] == bytes(4):
        return Answer(Protocol.HTTP2)
    protocol = Protocol.HTTP1 if received.startswith(b"HTTP/1.") else Protocol.OTHER
    return Answer(protocol, _first_line(received))


def unverified() -> ssl.SSLContext:
    """Returns a TLS context that accepts every certificate, to look at it: no secrets are sent with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _speaks_tls(facts: Facts, port: int | None) -> bool:
    try:
        with (
            connect(facts, port) as connection,
            unverified().wrap_socket(connection, server_hostname=facts.tls_name),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # only TLS sends alerts, even if it rejects the client
    except OSError:
        return False


def _exchange(
    facts: Facts, connection: socket.socket, request: bytes, enough: int
) -> tuple[bytes | None, str]:
    """Sends the request, and reads until there is enough or the other side closes; None after a timeout.

    Also returns the reason for the end, if TLS gives one.
    """
    received, why = b"", ""
    connection.settimeout(facts.seconds())
    with suppress(OSError):  # the other side may have closed already, after it sent a reason
        connection.sendall(request)
    try:
        while len(received) < enough:
            connection.settimeout(facts.seconds())
            more = connection.recv(_ENOUGH)
            if not more:
                break
            received += more
    except TimeoutError:
        return received or None, why
    except OSError as error:  # closed; what was received before is used
        why = getattr(error, "reason", None) or ""
    return received, why


def _first_line(received: bytes) -> str:
    """Returns printable text: the bytes come from an unknown program."""
    line = received.splitlines()[0].decode("latin-1")
    return "".join(c if c.isascii() and c.isprintable() else "." for c in line)[:60].strip()
