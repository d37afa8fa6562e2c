"""The steps `health` and `reflection`: whether the server is ready, and which services it has."""

from dataclasses import replace
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from app.core.code import CODE_LABELS
from app.core.name import NAME
from app.tools.doctor.facts import Facts, Finding
from app.tools.doctor.report import Remedy, StepError
from app.tools.doctor.rpc import code_and_details, failure, open_channel

# Codes that do not mean that the server is unhealthy.
_ANSWERS = {
    grpc.StatusCode.UNIMPLEMENTED: "the server has no health service; Kubernetes cannot probe it by gRPC",
    grpc.StatusCode.NOT_FOUND: "the server does not report its readiness as a whole",
    grpc.StatusCode.UNAUTHENTICATED: "requires a token",
    grpc.StatusCode.PERMISSION_DENIED: "not allowed for this caller",
}


def health(facts: Facts) -> Finding:
    """Asks for readiness: the health of the service "" (grpc.health.v1)."""
    try:
        with open_channel(facts.arguments, token=False) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=facts.seconds())
    except grpc.RpcError as error:
        code, details = code_and_details(error)
        if code in _ANSWERS:
            return Finding(_ANSWERS[code], {"status": None, "code": code.name}, note=True)
        raise failure(facts, code, details) from None
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    if reply.status == health_pb2.HealthCheckResponse.SERVING:
        return Finding(status, {"status": status})
    wait = f"until {facts.arguments.command()} > /dev/null; do sleep 1; done"
    raise StepError(
        "not-serving",
        f"{status}: the server runs, but is not ready for calls",
        "The server answers that it is not ready: it is starting or shutting down, or a dependency is"
        " missing. The server's log names it.",
        Remedy("If it runs in a cluster, its log:", f"kubectl logs deploy/{NAME}"),
        Remedy("To wait until it is ready:", wait),
        status=None,
        facts={"status": status},
    )


def reflection(facts: Facts) -> Finding:
    """Asks which services the server has. A server without reflection is no failure."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    try:
        with open_channel(facts.arguments, token=False) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            replies = stub.ServerReflectionInfo(iter([request]), timeout=facts.seconds())
            listed = [one.name for reply in replies for one in reply.list_services_response.service]
    except grpc.RpcError as error:
        code, _ = code_and_details(error)
        if code is grpc.StatusCode.UNIMPLEMENTED:
            text = "off, as is usual on other addresses than loopback; no step needs it"
            return Finding(text, {"on": False}, note=True)
        return Finding(f"no answer: {CODE_LABELS[code]}", {"on": None, "code": code.name}, note=True)
    own = [name for name in listed if not name.startswith("grpc.")]
    text = f"on: {', '.join(own) or 'no services'}"
    return Finding(text, {"on": True, "services": listed}, facts=replace(facts, listed=listed))
