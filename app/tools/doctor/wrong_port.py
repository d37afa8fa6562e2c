"""Ports that do not speak gRPC, and the port that probably does."""

from app.client.tls import Tls
from app.tools.doctor.facts import Answer, Facts, Protocol
from app.tools.doctor.port import identify
from app.tools.doctor.report import Remedy, StepError


def usual_port(facts: Facts) -> list[Remedy]:
    """Returns the command for gRPC's usual port on the same host, if that speaks HTTP/2 or TLS."""
    if facts.port == facts.usual_port or not facts.addresses:
        return []
    try:
        protocol = identify(facts, facts.usual_port).protocol
    except OSError:
        return []
    if protocol not in {Protocol.HTTP2, Protocol.TLS}:
        return []
    tls = None if protocol is Protocol.HTTP2 else facts.arguments.tls or Tls()
    command = facts.arguments.command(target=facts.target_at(facts.usual_port), tls=tls)
    return [Remedy(f"Port {facts.usual_port} of the same host speaks {protocol}:", command)]


def wrong_protocol(facts: Facts, answer: Answer) -> StepError:
    """The server is of another kind: the port is wrong, or a proxy does not forward HTTP/2."""
    remedies = usual_port(facts)
    if answer.metrics:
        explanation = f"Port {facts.port} is the metrics port: it serves Prometheus over HTTP/1, not gRPC."
        if not remedies:
            explanation += f" gRPC usually listens on {facts.usual_port}."
            command = facts.arguments.command(target=facts.target_at(facts.usual_port), tls=None)
            remedies = [Remedy("When the server listens there:", command)]
        return StepError("metrics-port", f"this is the metrics port: {answer.text}", explanation, *remedies)
    within = "TLS with " if facts.arguments.tls else ""
    return StepError(
        "not-http2",
        f"{within}{answer.protocol}, not HTTP/2" + (f": {answer.text!r}" if answer.text else ""),
        f"The server at {facts.arguments.target} does not speak HTTP/2, which gRPC needs. Either this is not"
        " gRPC's port, or a proxy in between does not forward HTTP/2 (nginx needs grpc_pass, an Ingress the"
        ' backend protocol "GRPC").',
        *remedies,
    )
