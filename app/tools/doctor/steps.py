"""The steps, in their order, until one finds what is wrong."""

import os
import time
from collections.abc import Callable, Mapping, Sequence

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from app.tools.doctor.call import call
from app.tools.doctor.case import Asked, Case
from app.tools.doctor.connection import connection
from app.tools.doctor.health import health, reflection
from app.tools.doctor.http2 import http2
from app.tools.doctor.name import addresses, name
from app.tools.doctor.report import Diagnosis, Found, Outcome, Remedy, Step, Wrong
from app.tools.doctor.tls import tls
from app.tools.doctor.token import clock, token

# Each rests on those before it, and returns what it found or raises Wrong.
_STEPS: tuple[Callable[[Case], Found], ...] = (
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
    asked: Asked,
    services: Sequence[ServiceDescriptor] = (),
    *,
    usual_port: int = 50051,
    environ: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Tries to call the target step by step, and stops at the first that fails. Changes nothing anywhere.

    The call is of the first method of `services` that the server has, that is marked NO_SIDE_EFFECTS and
    sends one message each way; its request is empty. On the way, the address gets a few connections that
    end early, some in plaintext and some in TLS, and where it speaks no gRPC also `usual_port` of the same
    host. The token is sent with that call alone, and is in nothing that this returns.

    Takes `asked.timeout` seconds at most. `environ` has the variables that grpc reads: this process's.
    """
    end = time.monotonic() + asked.timeout
    case = Case(asked, services, os.environ if environ is None else environ, usual_port, end)
    steps: list[Step] = []
    wrong: Wrong | None = None
    for step_name, step in zip(STEPS, _STEPS, strict=True):
        if wrong is not None:
            steps.append(Step(step_name, Outcome.SKIPPED))
            continue
        try:
            found = step(case)
            outcome = Outcome.NOTE if found.note else Outcome.OK
            steps.append(Step(step_name, outcome, found.text, found.facts))
        except (Wrong, TimeoutError) as error:
            wrong = error if isinstance(error, Wrong) else _late(asked)
            steps.append(Step(step_name, Outcome.FAILED, wrong.found, wrong.facts))
    return Diagnosis(asked.target, tuple(steps), wrong)


def _late(asked: Asked) -> Wrong:
    return Wrong(
        "timeout",
        "no time was left",
        f"The {asked.timeout:g} seconds of this examination were over.",
        Remedy("With more of them:", asked.doctor(timeout=asked.timeout * 3)),
        status=grpc.StatusCode.DEADLINE_EXCEEDED,
    )
