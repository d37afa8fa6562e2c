"""The steps `health` and `reflection`: whether the server says that it is ready, and what it has."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from app.core.code import CODE_LABELS
from app.core.name import NAME
from app.tools.doctor.call import ended, failed, opened
from app.tools.doctor.case import Case
from app.tools.doctor.report import Found, Remedy, Wrong

# Codes that say nothing against the server: it answered, and others may be let in.
_ANSWERS = {
    grpc.StatusCode.UNIMPLEMENTED: "the server has no health service; Kubernetes cannot probe it by gRPC",
    grpc.StatusCode.NOT_FOUND: "the server says nothing of its readiness as a whole",
    grpc.StatusCode.UNAUTHENTICATED: "not without a token",
    grpc.StatusCode.PERMISSION_DENIED: "not for everybody",
}


def health(case: Case) -> Found:
    """Asks for readiness: the health of the service "" (grpc.health.v1)."""
    try:
        with opened(case.asked, token=False) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=case.seconds())
    except grpc.RpcError as error:
        code, details = ended(error)
        if code in _ANSWERS:
            return Found(_ANSWERS[code], {"status": None, "code": code.name}, note=True)
        raise failed(case, code, details) from None
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    if reply.status == health_pb2.HealthCheckResponse.SERVING:
        return Found(status, {"status": status})
    wait = f"until {case.asked.doctor()} > /dev/null; do sleep 1; done"
    raise Wrong(
        "not-serving",
        f"{status}: the server runs, and wants no calls now",
        "The server answers, and says that it is not ready: it is starting, draining before its end, or lacks"
        " something that it depends on. Its log says which.",
        Remedy("Where it runs in a cluster, its log:", f"kubectl logs deploy/{NAME}"),
        Remedy("To wait until it is ready:", wait),
        status=None,
        facts={"status": status},
    )


def reflection(case: Case) -> Found:
    """Whether the server tells which services it has. That it does not is no failure."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    try:
        with opened(case.asked, token=False) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            replies = stub.ServerReflectionInfo(iter([request]), timeout=case.seconds())
            case.listed = [one.name for reply in replies for one in reply.list_services_response.service]
    except grpc.RpcError as error:
        code, _ = ended(error)
        if code is grpc.StatusCode.UNIMPLEMENTED:
            text = "off, which is usual beyond loopback; nothing here needs it"
            return Found(text, {"on": False}, note=True)
        return Found(f"no answer: {CODE_LABELS[code]}", {"on": None, "code": code.name}, note=True)
    own = [name for name in case.listed if not name.startswith("grpc.")]
    return Found(f"on: {', '.join(own) or 'no services'}", {"on": True, "services": case.listed})
