"""The step `call`: the end of the call that the step `token` made."""

from pathlib import Path

import grpc

from app.core.code import CODE_LABELS
from app.tools.doctor.facts import Facts, Finding, Reply
from app.tools.doctor.report import Remedy, StepError
from app.tools.doctor.rpc import failure

# Codes by which a service itself rejects an empty request: the call reached it.
_ANSWERS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


def call(facts: Facts) -> Finding:
    reply = facts.reply
    if reply is None:
        known = ", ".join(service.full_name for service in facts.services)
        text = f"none was made: the server has no safe method of {known or 'the services known here'}"
        return Finding(text, note=True)
    milliseconds = reply.seconds * 1000
    data = {"method": reply.method, "code": reply.code.name, "milliseconds": round(milliseconds, 3)}
    if reply.code is grpc.StatusCode.OK:
        return Finding(f"{reply.method} answered in {milliseconds:.1f} ms", data)
    if reply.code in _ANSWERS:
        return Finding(f"{reply.method} answered {CODE_LABELS[reply.code]} to an empty request", data)
    if reply.code is grpc.StatusCode.PERMISSION_DENIED:
        raise _denied(facts, reply)
    raise failure(facts, reply.code, reply.details)


def _denied(facts: Facts, reply: Reply) -> StepError:
    arguments = facts.arguments
    another = Path("token.new") if arguments.token_file == Path("token") else Path("token")
    command = arguments.command(
        token_file=another, allow_plaintext_token=arguments.exposed or arguments.allow_plaintext_token
    )
    return StepError(
        "permission-denied",
        f"{reply.method} is not allowed: {reply.details}",
        f"The server accepts the token, but its caller may not call {reply.method}. The operator of the"
        " server can allow it (APP_AUTH_REQUIRE).",
        Remedy("With the token of another caller:", command),
        status=reply.code,
    )
