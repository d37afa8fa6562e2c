"""The steps of the doctor, in their order. Each is a function; the first that fails ends the examination."""

import os
import time
from collections.abc import Callable, Mapping, Sequence

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from app.tools.doctor.call import call
from app.tools.doctor.connection import connection, http2
from app.tools.doctor.facts import Arguments, Facts, Finding
from app.tools.doctor.health import health, reflection
from app.tools.doctor.report import Diagnosis, Outcome, Remedy, Step, StepError
from app.tools.doctor.target import addresses, name
from app.tools.doctor.tls import tls
from app.tools.doctor.token import clock, token

# Each takes the facts so far, and returns a finding with further facts, or raises StepError.
_STEPS: tuple[Callable[[Facts], Finding], ...] = (
    name,
    addresses,
    connection,
    tls,
    http2,
    health,
    reflection,
    token,
    clock,
    call,
)
STEPS = tuple(step.__name__ for step in _STEPS)


def diagnose(
    arguments: Arguments,
    services: Sequence[ServiceDescriptor] = (),
    *,
    usual_port: int = 50051,
    environ: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Tries to call the target, step by step, and stops at the first step that fails. It is read-only.

    It calls the first unary method of `services` that the server has and that is marked NO_SIDE_EFFECTS, with
    an empty request. Before that, it opens and closes a few connections to the address, in plaintext and
    over TLS, and also to `usual_port` of the same host if the address does not speak gRPC. It sends the
    token only with the call, and the result does not contain the token.

    Finishes within `arguments.timeout` seconds. `environ` has the variables that grpc reads; the default is
    the environment of this process.
    """
    facts = Facts(
        arguments=arguments,
        services=services,
        environ=os.environ if environ is None else environ,
        usual_port=usual_port,
        deadline=time.monotonic() + arguments.timeout,
    )
    steps: list[Step] = []
    failed: StepError | None = None
    for step_name, step in zip(STEPS, _STEPS, strict=True):
        if failed is not None:
            steps.append(Step(step_name, Outcome.SKIPPED))
            continue
        try:
            finding = step(facts)
        except (StepError, TimeoutError) as error:
            failed = error if isinstance(error, StepError) else _out_of_time(arguments)
            steps.append(Step(step_name, Outcome.FAILED, failed.found, failed.facts))
        else:
            facts = finding.facts or facts
            outcome = Outcome.NOTE if finding.note else Outcome.OK
            steps.append(Step(step_name, outcome, finding.text, finding.data))
    return Diagnosis(arguments.target, tuple(steps), failed)


def _out_of_time(arguments: Arguments) -> StepError:
    return StepError(
        "timeout",
        "timed out",
        f"The {arguments.timeout:g} seconds of --timeout are over.",
        Remedy("With more time:", arguments.command(timeout=arguments.timeout * 3)),
        status=grpc.StatusCode.DEADLINE_EXCEEDED,
    )
