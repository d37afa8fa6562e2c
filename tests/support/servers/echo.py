"""The probe as an echo, for servers in other processes and pods. It imports only `app` and `tests.gen`."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import grpc

from app.core.errors import FieldViolation, OutOfRange
from app.core.service import Service
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import DESCRIPTOR, ProbeReply, ProbeRequest

# Requests with these texts fail.
INVALID, OUT_OF_RANGE = "invalid", "out of range"

# A PYTHONPATH by which this program, in another process on this machine, has the echo among its services.
ROOT = Path(__file__).parents[3]
PYTHONPATH = f"{Path(__file__).with_name('startup')}:{ROOT}"


def _rule(request: ProbeRequest) -> Iterator[FieldViolation]:
    if request.text == INVALID:
        yield FieldViolation("text", f"must not be {INVALID!r}")


def _reply(request: ProbeRequest) -> ProbeReply:
    if request.text == OUT_OF_RANGE:
        raise OutOfRange(f"the text is {OUT_OF_RANGE!r}")
    return ProbeReply(text=request.text, count=request.count, payload=request.payload)


class Echo(probe_pb2_grpc.ProbeServicer):
    """Replies with each request; `ServerStream` does so `count` times, `ClientStream` with the last one."""

    def Unary(self, request: ProbeRequest, context: grpc.ServicerContext) -> ProbeReply:
        del context
        return _reply(request)

    def ServerStream(self, request: ProbeRequest, context: grpc.ServicerContext) -> Iterator[ProbeReply]:
        del context
        for _ in range(request.count):
            yield _reply(request)

    def ClientStream(
        self, request_iterator: Iterator[ProbeRequest], context: grpc.ServicerContext
    ) -> ProbeReply:
        del context
        reply = ProbeReply()
        for request in request_iterator:
            reply = _reply(request)
        return reply

    def BidiStream(
        self, request_iterator: Iterator[ProbeRequest], context: grpc.ServicerContext
    ) -> Iterator[ProbeReply]:
        del context
        yield from map(_reply, request_iterator)


ECHO = Service(
    descriptor=DESCRIPTOR.services_by_name["Probe"],
    add_to_server=probe_pb2_grpc.add_ProbeServicer_to_server,
    open=lambda _settings: nullcontext(Echo()),
    rules=dict.fromkeys(DESCRIPTOR.services_by_name["Probe"].methods_by_name, _rule),
)
