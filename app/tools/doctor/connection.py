"""The steps `connection` and `http2`: whether the port accepts connections, and whether it speaks HTTP/2."""

import socket
import time
from dataclasses import replace

import grpc

from app.client.target import is_loopback
from app.core.name import NAME
from app.tools.doctor.facts import Answer, Facts, Finding, Protocol
from app.tools.doctor.port import identify
from app.tools.doctor.report import Remedy, StepError
from app.tools.doctor.wrong_port import usual_port, wrong_protocol


def connection(facts: Facts) -> Finding:
    """Connects to every address, and begins HTTP/2 with the first that accepts the connection."""
    if facts.only_grpc_connects:
        return Finding("left to gRPC", note=True)
    failed: dict[str, str] = {}
    connected: dict[str, float] = {}
    seconds = facts.seconds() / len(facts.addresses)
    for address in facts.addresses:
        begun = time.monotonic()
        try:
            socket.create_connection((address, facts.port), seconds).close()
        except OSError as error:
            failed[address] = _reason(error)
        else:
            connected[address] = round((time.monotonic() - begun) * 1000, 3)
    failures = "; ".join(f"{address}: {why}" for address, why in failed.items())
    data = {"connected": connected, "failed": failed}
    if not connected:
        raise (_refused if "refused" in failed.values() else _unreachable)(facts, failures, data)
    facts = replace(facts, addresses=list(connected))
    try:
        answer = identify(facts)
    except TimeoutError:
        raise
    except OSError:  # it accepted one connection, and accepts no more
        answer = Answer(Protocol.CLOSED)
    if answer.protocol in {Protocol.CLOSED, Protocol.SILENT}:
        raise _no_answer(facts, answer.protocol)
    to = f"to {', '.join(connected)} " if len(failed) + len(connected) > 1 else ""
    text = f"{to}in {max(connected.values()):.1f} ms" + (f"; {failures}" if failures else "")
    return Finding(text, data, note=bool(failed), facts=replace(facts, answer=answer))


def http2(facts: Facts) -> Finding:
    """Checks that the server sent SETTINGS, which must be its first frame."""
    if facts.answer is None:
        return Finding("left to gRPC", note=True)
    if facts.answer.protocol is not Protocol.HTTP2:
        raise wrong_protocol(facts, facts.answer)
    return Finding(f"SETTINGS received{', ALPN h2' if facts.alpn else ''}", {"alpn": facts.alpn})


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return "refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or str(error)).lower()


def _refused(facts: Facts, failures: str, data: dict[str, object]) -> StepError:
    here = is_loopback(facts.arguments.target)
    explanation = (
        f"Nothing listens on port {facts.port} of {'this machine' if here else facts.host}: the server is not"
        " running, it listens on another port, or the port-forward to it has ended."
    )
    remedies = usual_port(facts)
    usual = facts.target_at(facts.usual_port)
    if not facts.names_port:
        explanation = f"The target has no port, so gRPC used {facts.port}, where nothing listens."
        remedies = remedies or [Remedy("Name the port, such as:", facts.arguments.command(target=usual))]
    if here:
        listen = (facts.target_at(facts.port) if facts.names_port else usual).removeprefix(facts.prefix)
        start = Remedy("To start a server there, on this machine:", f"APP_LISTEN={listen} {NAME} serve")
        remedies.append(start)
    return StepError(
        "connection-refused", failures, explanation, *remedies, *facts.port_forward(), facts=data
    )


def _unreachable(facts: Facts, failures: str, data: dict[str, object]) -> StepError:
    return StepError(
        "unreachable",
        failures,
        f"Nothing answers at {facts.arguments.target}, not even to refuse the connection. A firewall or a"
        " NetworkPolicy may drop the packets, a route or a VPN may be missing, the machine may be off, or the"
        " address may exist only inside a cluster.",
        *facts.port_forward(),
        facts=data,
    )


def _no_answer(facts: Facts, protocol: Protocol) -> StepError:
    """The connection was accepted, and nothing was received on it."""
    remedies = []
    if is_loopback(facts.arguments.target):
        [forward] = facts.port_forward()
        check = "If it is a port-forward, stop it, and check that there are ready pods:"
        remedies = [Remedy(check, "kubectl get pods"), Remedy("Then start it again:", forward.command)]
    if protocol is Protocol.CLOSED:
        return StepError(
            "closed-at-once",
            "accepted, and closed at once",
            "The connection is accepted and closed at once. A port-forward does that when its pod is gone,"
            " and a load balancer when it has no backend.",
            *remedies,
        )
    return StepError(
        "silent",
        "accepted, but no answer",
        "The connection is accepted, but nothing is received, neither in plaintext nor over TLS. The server"
        " may hang or be stopped, a port-forward may have lost its cluster, or the port may be of a protocol"
        " in which the client begins.",
        *remedies,
        Remedy(
            "For a slow server, allow more time:",
            facts.arguments.command(timeout=facts.arguments.timeout * 3),
        ),
        status=grpc.StatusCode.DEADLINE_EXCEEDED,
    )
