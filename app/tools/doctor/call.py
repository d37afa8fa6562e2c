"""The step `call`: one call of a method that is safe, and what its end says."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from app.client.channel import channel
from app.core.code import CODE_LABELS
from app.core.name import NAME
from app.tools.descriptors import full_name, is_harmless
from app.tools.doctor.case import Asked, Case
from app.tools.doctor.report import Found, Remedy, Wrong

# A service's own answers to a request that is empty: the call went through.
_ANSWERS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
# What grpc makes of an answer that came from no gRPC server.
_HTTP_STATUS = re.compile(r"Received http2 header with status: (\d+)|No status received")


@dataclass(frozen=True)
class Reply:
    """How a call ended."""

    method: str
    code: grpc.StatusCode
    details: str
    seconds: float


def call(case: Case) -> Found:
    """How the call ended that the step before it made."""
    reply = case.reply
    if reply is None:
        known = ", ".join(service.full_name for service in case.services)
        text = f"none was made: the server has no safe method of {known or 'services known here'}"
        return Found(text, note=True)
    milliseconds = reply.seconds * 1000
    facts = {"method": reply.method, "code": reply.code.name, "milliseconds": round(milliseconds, 3)}
    if reply.code is grpc.StatusCode.OK:
        return Found(f"{reply.method} answered in {milliseconds:.1f} ms", facts)
    if reply.code in _ANSWERS:
        return Found(f"{reply.method} answered {CODE_LABELS[reply.code]} to an empty request", facts)
    if reply.code is grpc.StatusCode.PERMISSION_DENIED:
        raise _denied(case, reply)
    raise failed(case, reply.code, reply.details)


def make_call(case: Case) -> Reply | None:
    """Calls the first safe method that the server has, with an empty request and with the token."""
    for method in safe_methods(case.services, case.listed):
        path = full_name(method)
        request = message_factory.GetMessageClass(method.input_type)
        response = message_factory.GetMessageClass(method.output_type)
        with opened(case.asked, token=True) as to:
            make: Callable[..., Any] = to.unary_unary(
                f"/{path}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            begun = time.monotonic()
            code, details = grpc.StatusCode.OK, ""
            try:
                make(request(), timeout=case.seconds())
            except grpc.RpcError as error:
                code, details = ended(error)
            if code is not grpc.StatusCode.UNIMPLEMENTED:
                return Reply(path, code, details, time.monotonic() - begun)
    return None


def safe_methods(
    services: Sequence[ServiceDescriptor], listed: Sequence[str] | None
) -> list[MethodDescriptor]:
    """Those that are marked NO_SIDE_EFFECTS and send one message each way; of `listed` services, if known."""
    return [
        method
        for service in services
        if listed is None or service.full_name in listed
        for method in service.methods
        if is_harmless(method)
    ]


def opened(asked: Asked, *, token: bool) -> grpc.Channel:
    """A channel as it was asked for, with its token or without. Raises OSError and ValueError."""
    return channel(
        asked.target,
        tls=asked.tls,
        token_file=asked.token_file if token else None,
        allow_plaintext_token=asked.allow_plaintext_token,
        timeout=asked.timeout,
    )


def ended(error: Any) -> tuple[grpc.StatusCode, str]:
    """The code and the details, safe to print. Raises Wrong where what answered is no gRPC server."""
    code, details = error.code(), "".join(c if c.isprintable() else " " for c in error.details() or "")
    if (match := _HTTP_STATUS.search(details)) is None:
        return code, details
    status = match[1] or "200"
    raise Wrong(
        "not-grpc",
        f"no gRPC answer: HTTP {status}",
        f"What answers speaks HTTP/2 and no gRPC (HTTP {status}): a web server, or a proxy that does not know"
        " where gRPC's paths go, or does not reach the server behind it.",
        status=code,
    )


def failed(case: Case, code: grpc.StatusCode, details: str) -> Wrong:
    """A call that ended in a way that no step before it foresaw."""
    what = f"{CODE_LABELS[code]}: {details}" if details else CODE_LABELS[code]
    unanswered = code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    if unanswered and (proxy := case.proxy) is not None:
        explained = f"{proxy.variable} is set, so gRPC connects through the proxy {proxy.address}: {what}."
        past = f"{proxy.past} {case.asked.doctor()}"
        remedy = Remedy("Where the server can be reached without the proxy:", past)
        return Wrong("proxy", what, explained, remedy, status=code)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        explained = "The server does not answer calls in time: it is overloaded or stuck."
        remedy = Remedy("With more time:", case.asked.doctor(timeout=case.asked.timeout * 3))
        return Wrong("timeout", "no answer in time", explained, remedy, status=code)
    if code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}:
        explained = "The call reached the server and failed there. Its log says why."
        log = Remedy("Where it runs in a cluster:", f"kubectl logs deploy/{NAME}")
        return Wrong("call-failed", what, explained, log, status=code)
    explained = f"The call failed, though everything before it works: {what}."
    return Wrong("call-failed", what, explained, status=code)


def _denied(case: Case, reply: Reply) -> Wrong:
    asked = case.asked
    another = Path("token.new") if asked.token_file == Path("token") else Path("token")
    command = asked.doctor(
        token_file=another, allow_plaintext_token=asked.exposed or asked.allow_plaintext_token
    )
    return Wrong(
        "permission-denied",
        f"{reply.method} is not allowed: {reply.details}",
        f"The server knows who calls, and that caller may not call {reply.method}. The rules are the server's"
        " (APP_AUTH_REQUIRE): whoever runs it can let this caller in.",
        Remedy("With the token of another caller:", command),
        status=reply.code,
    )
