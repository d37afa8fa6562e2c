"""Calls to the server, and the errors of those that fail."""

import re
import time
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from app.client.channel import channel
from app.client.options import LARGEST
from app.core.code import CODE_LABELS
from app.core.name import NAME
from app.tools.doctor.facts import Arguments, Facts, Reply
from app.tools.doctor.report import Remedy, StepError
from app.tools.invoke import invoke, request_type
from app.tools.methods import full_name, is_harmless

# gRPC's texts for an answer that did not come from a gRPC server.
_HTTP_STATUS = re.compile(r"Received http2 header with status: (\d+)|No status received")


def open_channel(arguments: Arguments, *, token: bool) -> grpc.Channel:
    """Opens a channel with the arguments, with the token or without. Raises OSError and ValueError."""
    return channel(
        arguments.target,
        tls=arguments.tls,
        token_file=arguments.token_file if token else None,
        allow_plaintext_token=arguments.allow_plaintext_token,
        timeout=arguments.timeout,
        max_receive_bytes=LARGEST,
    )


def make_call(facts: Facts) -> Reply | None:
    """Calls the first safe method that the server has, with an empty request and the token."""
    for method in safe_methods(facts.services, facts.listed):
        code, details = grpc.StatusCode.OK, ""
        with open_channel(facts.arguments, token=True) as opened:
            begun = time.monotonic()
            try:
                list(invoke(opened, method, [request_type(method)()], timeout=facts.seconds()))
            except grpc.RpcError as error:
                code, details = code_and_details(error)
        if code is not grpc.StatusCode.UNIMPLEMENTED:
            return Reply(full_name(method), code, details, time.monotonic() - begun)
    return None


def safe_methods(
    services: Sequence[ServiceDescriptor], listed: Sequence[str] | None
) -> list[MethodDescriptor]:
    """Returns the unary methods marked NO_SIDE_EFFECTS, of `listed` services if those are known."""
    return [
        method
        for service in services
        if listed is None or service.full_name in listed
        for method in service.methods
        if is_harmless(method)
    ]


def code_and_details(error: Any) -> tuple[grpc.StatusCode, str]:
    """Returns the code and printable details. Raises StepError if the server does not speak gRPC."""
    code, details = error.code(), "".join(c if c.isprintable() else " " for c in error.details() or "")
    if (match := _HTTP_STATUS.search(details)) is None:
        return code, details
    status = match[1] or "200"
    raise StepError(
        "not-grpc",
        f"not a gRPC response: HTTP {status}",
        f"The server speaks HTTP/2 but not gRPC (HTTP {status}): it is a web server, or a proxy that does not"
        " route gRPC's paths, or cannot reach the server behind it.",
        status=code,
    )


def failure(facts: Facts, code: grpc.StatusCode, details: str) -> StepError:
    """Returns the error for a call that failed although all steps before it succeeded."""
    arguments = facts.arguments
    what = f"{CODE_LABELS[code]}: {details}" if details else CODE_LABELS[code]
    unanswered = code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    if unanswered and (proxy := facts.proxy) is not None:
        explanation = f"{proxy.variable} is set, so gRPC connects through the proxy {proxy.address}: {what}."
        command = f"{proxy.bypass} {arguments.command()}"
        remedy = Remedy("If the server can be reached without the proxy:", command)
        return StepError("proxy", what, explanation, remedy, status=code)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        explanation = "The server does not answer calls in time: it is overloaded or stuck."
        remedy = Remedy("With more time:", arguments.command(timeout=arguments.timeout * 3))
        return StepError("timeout", "no answer in time", explanation, remedy, status=code)
    if code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}:
        explanation = "The call reached the server and failed there. Its log says why."
        remedy = Remedy("If it runs in a cluster:", f"kubectl logs deploy/{NAME}")
        return StepError("call-failed", what, explanation, remedy, status=code)
    explanation = f"The call failed, although all steps before it succeeded: {what}."
    return StepError("call-failed", what, explanation, status=code)
