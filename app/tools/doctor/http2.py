"""The step `http2`: whether HTTP/2 is spoken, in plaintext or inside TLS."""

from app.tools.doctor.case import Case
from app.tools.doctor.connection import Answer, Said, elsewhere
from app.tools.doctor.report import Found, Remedy, Wrong


def http2(case: Case) -> Found:
    """Whether the server sends SETTINGS, the first frame that it owes."""
    if case.answer is None:
        return Found("left to gRPC", note=True)
    if case.answer.said is not Said.HTTP2:
        raise another_kind(case, case.answer)
    return Found(f"SETTINGS came{', by ALPN h2' if case.alpn else ''}", {"alpn": case.alpn})


def another_kind(case: Case, answer: Answer) -> Wrong:
    """A server of another kind: the wrong port, or a proxy that does not pass HTTP/2 on."""
    remedies = elsewhere(case)
    if answer.metrics:
        explained = f"Port {case.port} is the metrics port: it serves Prometheus over HTTP/1, and no gRPC."
        if not remedies:
            explained += f" gRPC is usually on {case.usual_port}."
            command = case.asked.doctor(target=case.at(case.usual_port), tls=None)
            remedies = [Remedy("Once it runs there:", command)]
        return Wrong("metrics-port", f"this is the metrics port: {answer.text}", explained, *remedies)
    within = "TLS with " if case.asked.tls else ""
    return Wrong(
        "not-http2",
        f"{within}{answer.said}, and no HTTP/2" + (f": {answer.text!r}" if answer.text else ""),
        f"What answers at {case.asked.target} does not speak HTTP/2, which gRPC needs. Either this is another"
        " port than gRPC's, or a proxy in between does not pass HTTP/2 on (nginx needs grpc_pass, an Ingress"
        ' the backend protocol "GRPC").',
        *remedies,
    )
