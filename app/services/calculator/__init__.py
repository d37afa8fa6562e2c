"""Calculator: arithmetic on int32, with INVALID_ARGUMENT and OUT_OF_RANGE as its errors."""

from collections.abc import Iterator
from contextlib import nullcontext

import grpc

from app.core.errors import FieldViolation, OutOfRange
from app.core.service import Service
from app.gen import Calc_pb2, Calc_pb2_grpc

_INT32 = range(-(2**31), 2**31)


class Calculator(Calc_pb2_grpc.CalculatorServicer):
    def Add(self, request: Calc_pb2.AddRequest, context: grpc.ServicerContext) -> Calc_pb2.AddReply:
        return Calc_pb2.AddReply(n1=_int32(request.n1 + request.n2))

    def Substract(
        self, request: Calc_pb2.SubstractRequest, context: grpc.ServicerContext
    ) -> Calc_pb2.SubstractReply:
        return Calc_pb2.SubstractReply(n1=_int32(request.n1 - request.n2))

    def Subtract(
        self, request: Calc_pb2.SubstractRequest, context: grpc.ServicerContext
    ) -> Calc_pb2.SubstractReply:
        return self.Substract(request, context)

    def Multiply(
        self, request: Calc_pb2.MultiplyRequest, context: grpc.ServicerContext
    ) -> Calc_pb2.MultiplyReply:
        return Calc_pb2.MultiplyReply(n1=_int32(request.n1 * request.n2))

    def Divide(self, request: Calc_pb2.DivideRequest, context: grpc.ServicerContext) -> Calc_pb2.DivideReply:
        return Calc_pb2.DivideReply(f1=request.n1 / request.n2)


def _int32(result: int) -> int:
    if result not in _INT32:
        raise OutOfRange(f"the result {result} exceeds int32, the type of the field n1")
    return result


def _divisor(request: Calc_pb2.DivideRequest) -> Iterator[FieldViolation]:
    if request.n2 == 0:
        yield FieldViolation("n2", "must not be 0: division by zero has no result")


CALCULATOR = Service(
    descriptor=Calc_pb2.DESCRIPTOR.services_by_name["Calculator"],
    add_to_server=Calc_pb2_grpc.add_CalculatorServicer_to_server,
    open=lambda _settings: nullcontext(Calculator()),
    rules={"Divide": _divisor},
)
