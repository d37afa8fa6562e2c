"""FaultsService: what is wrong with this server is switched on and off by calls."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from app.core.errors import FieldViolation
from app.core.service import Rule, Service, SetReady
from deploy.faults.commands import faults as faults_command
from deploy.faults.faults import Faults
from deploy.faults.gen.faults.v1 import faults_pb2 as pb
from deploy.faults.gen.faults.v1 import faults_pb2_grpc

_CODES = range(17)  # 0 is unset
_LONGEST = 60  # seconds
_MOST_STUCK = 10_000
_FASTEST = 256 * 1024**2  # bytes per second


class FaultsServicer(faults_pb2_grpc.FaultsServiceServicer):
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._set_ready: SetReady | None = None

    def follow(self, set_ready: SetReady) -> None:
        self._set_ready = set_ready

    def GetFaults(self, request: pb.GetFaultsRequest, context: grpc.ServicerContext) -> pb.GetFaultsResponse:
        return pb.GetFaultsResponse(faults=self._faults.on)

    def SetFaults(self, request: pb.SetFaultsRequest, context: grpc.ServicerContext) -> pb.SetFaultsResponse:
        self._faults.set(request.faults)
        if self._set_ready is not None:
            self._set_ready(not request.faults.not_ready)
        return pb.SetFaultsResponse()


def faults_service(faults: Faults, services: Sequence[Service[Any]]) -> Service[Any]:
    """Returns the service that sets `faults`, which those services have."""

    @contextmanager
    def open_faults(_settings: object) -> Iterator[FaultsServicer]:
        try:
            yield FaultsServicer(faults)
        finally:
            faults.memory.grow(0)

    return Service(
        descriptor=pb.DESCRIPTOR.services_by_name["FaultsService"],
        add_to_server=faults_pb2_grpc.add_FaultsServiceServicer_to_server,
        open=open_faults,
        readiness=FaultsServicer.follow,
        rules={"SetFaults": _rule(services)},
        commands=(faults_command,),
    )


def _rule(services: Sequence[Service[Any]]) -> Rule:
    methods = [
        f"{service.name}/{method.name}" for service in services for method in service.descriptor.methods
    ]

    def check(request: pb.SetFaultsRequest) -> Iterator[FieldViolation]:
        faults = request.faults
        if faults.method not in {"", *methods}:
            yield FieldViolation("faults.method", f"must be empty, or one of {', '.join(methods)}")
        seconds = faults.latency.seconds + faults.latency.nanos / 1e9
        if not 0 <= seconds <= _LONGEST:
            yield FieldViolation("faults.latency", f"must be from 0 to {_LONGEST} seconds")
        if not 0 <= faults.error_share <= 1:
            yield FieldViolation("faults.error_share", "must be from 0, no calls, to 1, all of them")
        if faults.code not in _CODES:
            yield FieldViolation("faults.code", "must be the number of a status code, from 1 to 16")
        if not 0 <= faults.stuck_calls <= _MOST_STUCK:
            yield FieldViolation("faults.stuck_calls", f"must be from 0 to {_MOST_STUCK}")
        if not 0 <= faults.memory_bytes_per_second <= _FASTEST:
            yield FieldViolation("faults.memory_bytes_per_second", f"must be from 0 to {_FASTEST}")

    return check
