"""The step `connection`: whether anybody takes connections there, and which words come back."""

import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import grpc

from app.client.target import is_loopback
from app.client.tls import Tls
from app.core.name import NAME
from app.tools.doctor.case import Case
from app.tools.doctor.report import Found, Remedy, Wrong

# The beginning of HTTP/2 (RFC 9113, section 3.4): the preface, and empty SETTINGS.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS, _HEAD = 4, 9
_GET = b"GET /metrics HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n"
_METRICS = re.compile(rb"(?im)^content-type:.*(openmetrics|version=)|^# HELP ")
_ENOUGH = 4096


class Said(StrEnum):
    HTTP2 = "HTTP/2"
    HTTP1 = "HTTP/1"
    TLS = "TLS"
    OTHER = "something else"
    CLOSED = "nothing, and closed"
    SILENT = "nothing"


@dataclass(frozen=True)
class Answer:
    """`text` is the first line of what is not HTTP/2, or why TLS ended."""

    said: Said
    text: str = ""
    metrics: bool = False


def connection(case: Case) -> Found:
    """Connects to every address, and begins HTTP/2 with the first that takes the connection."""
    if case.left_to_grpc:
        return Found("left to gRPC", note=True)
    told: dict[str, str] = {}
    connected: dict[str, float] = {}
    seconds = case.seconds() / len(case.addresses)
    for address in case.addresses:
        begun = time.monotonic()
        try:
            socket.create_connection((address, case.port), seconds).close()
        except OSError as error:
            told[address] = _why(error)
        else:
            connected[address] = round((time.monotonic() - begun) * 1000, 3)
    text = "; ".join(f"{address}: {why}" for address, why in told.items())
    facts = {"connected": connected, "failed": told}
    if not connected:
        raise (_refused if "refused" in told.values() else _unreachable)(case, text, facts)
    case.addresses = list(connected)
    try:
        case.answer = ask(case)
    except TimeoutError:
        raise
    except OSError:  # it took a connection, and takes no more
        case.answer = Answer(Said.CLOSED)
    if case.answer.said in {Said.CLOSED, Said.SILENT}:
        raise _mute(case, case.answer.said)
    to = f"to {', '.join(connected)} " if len(told) + len(connected) > 1 else ""
    in_time = f"{to}in {max(connected.values()):.1f} ms"
    return Found(f"{in_time}; {text}" if text else in_time, facts, note=bool(told))


def connect(case: Case, port: int | None = None) -> socket.socket:
    """To the first address that took a connection. Raises OSError."""
    return socket.create_connection((case.addresses[0], port or case.port), case.seconds())


def ask(case: Case, port: int | None = None) -> Answer:
    """What is spoken there: plaintext HTTP/2 is tried first, then TLS, then HTTP/1. Raises OSError."""
    with connect(case, port) as opened:
        answer = greet(case, opened)
    if answer.said is Said.HTTP2:
        return answer
    if _speaks_tls(case, port):
        return Answer(Said.TLS)
    if answer.said is Said.SILENT:
        return answer
    with connect(case, port) as opened:
        received, _ = _exchange(case, opened, _GET, _ENOUGH)
    if received and received.startswith(b"HTTP/1."):
        return Answer(Said.HTTP1, _first_line(received), metrics=bool(_METRICS.search(received)))
    return answer


def greet(case: Case, opened: socket.socket) -> Answer:
    """Begins HTTP/2 on a connection, and reads its first frame, which has to be SETTINGS."""
    received, why = _exchange(case, opened, _PREFACE, _HEAD)
    if not received:
        return Answer(Said.SILENT if received is None else Said.CLOSED, why)
    if len(received) >= _HEAD and received[3] == _SETTINGS and received[5:9] == bytes(4):
        return Answer(Said.HTTP2)
    said = Said.HTTP1 if received.startswith(b"HTTP/1.") else Said.OTHER
    return Answer(said, _first_line(received))


def unverified() -> ssl.SSLContext:
    """For TLS with anybody, to see who it is: nothing secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def elsewhere(case: Case) -> list[Remedy]:
    """The usual port of the same host, where gRPC is spoken there."""
    if case.port == case.usual_port or not case.addresses:
        return []
    try:
        said = ask(case, case.usual_port).said
    except OSError:
        return []
    if said not in {Said.HTTP2, Said.TLS}:
        return []
    tls = None if said is Said.HTTP2 else case.asked.tls or Tls()
    command = case.asked.doctor(target=case.at(case.usual_port), tls=tls)
    return [Remedy(f"Port {case.usual_port} of the same host speaks {said}:", command)]


def _speaks_tls(case: Case, port: int | None) -> bool:
    try:
        with (
            connect(case, port) as opened,
            unverified().wrap_socket(opened, server_hostname=case.tls_name),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # a word of TLS, even where it is a refusal
    except OSError:
        return False


def _exchange(case: Case, opened: socket.socket, words: bytes, enough: int) -> tuple[bytes | None, str]:
    """What comes in answer, until it is enough or the other side closes; None for nothing in time.

    And why it ended, where TLS says so.
    """
    received, why = b"", ""
    opened.settimeout(case.seconds())
    with suppress(OSError):  # it may have hung up already, and have said why
        opened.sendall(words)
    try:
        while len(received) < enough:
            opened.settimeout(case.seconds())
            more = opened.recv(_ENOUGH)
            if not more:
                break
            received += more
    except TimeoutError:
        return received or None, why
    except OSError as error:  # it hung up; what came before counts
        why = getattr(error, "reason", None) or ""
    return received, why


def _first_line(received: bytes) -> str:
    """Safe to print: what another program sent may be anything."""
    line = received.splitlines()[0].decode("latin-1")
    return "".join(c if c.isascii() and c.isprintable() else "." for c in line)[:60].strip()


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return "refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or str(error)).lower()


def _refused(case: Case, text: str, facts: dict[str, Any]) -> Wrong:
    here = is_loopback(case.asked.target)
    explained = (
        f"Nothing listens on port {case.port} of {'this machine' if here else case.host}: no server runs"
        " there, it listens on another port, or the port-forward to it has ended."
    )
    remedies = elsewhere(case)
    usual = case.at(case.usual_port)
    if not case.names_port:
        explained = f"The target names no port, so gRPC took {case.port}, where nothing listens."
        remedies = remedies or [Remedy("Name the port, such as:", case.asked.doctor(target=usual))]
    if here:
        listen = (case.at(case.port) if case.names_port else usual).removeprefix(case.prefix)
        remedies.append(
            Remedy("To start a server there, on this machine:", f"APP_LISTEN={listen} {NAME} serve")
        )
    return Wrong("connection-refused", text, explained, *remedies, *case.port_forward(), facts=facts)


def _unreachable(case: Case, text: str, facts: dict[str, Any]) -> Wrong:
    return Wrong(
        "unreachable",
        text,
        f"Nothing answers at {case.asked.target}, not even with a refusal. A firewall or a NetworkPolicy may"
        " drop what is sent there, a route or a VPN may be missing, or the address is of a machine that is"
        " off, or inside a cluster.",
        *case.port_forward(),
        facts=facts,
    )


def _mute(case: Case, said: Said) -> Wrong:
    """Somebody took the connection, and said nothing on it."""
    remedies = []
    if is_loopback(case.asked.target):
        [forward] = case.port_forward()
        look = "If it is a port-forward, end it, and look whether there are pods that are ready:"
        remedies = [Remedy(look, "kubectl get pods"), Remedy("Then start it again:", forward.command)]
    if said is Said.CLOSED:
        return Wrong(
            "closed-at-once",
            "accepted, and closed at once without a word",
            "Something accepts the connection and closes it at once. A port-forward whose pod has gone does"
            " that, and so does a load balancer without a server behind it.",
            *remedies,
        )
    return Wrong(
        "silent",
        "accepted, and then not a word",
        "Something accepts the connection and says nothing, neither in plaintext nor in TLS. A server that"
        " hangs or is stopped does that, a port-forward that has lost its cluster, or a service of another"
        " kind that waits for its client.",
        *remedies,
        Remedy("With more time for a slow one:", case.asked.doctor(timeout=case.asked.timeout * 3)),
        status=grpc.StatusCode.DEADLINE_EXCEEDED,
    )
