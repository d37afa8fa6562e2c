from typing import Any

import grpc
import pytest

from app.gen import Calc_pb2 as pb
from app.gen import Calc_pb2_grpc
from tests.support.clients.status import code, violations

LEAST, MOST = -(2**31), 2**31 - 1


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return Calc_pb2_grpc.CalculatorStub(channel)


def test_each_method_has_its_result(stub: Any) -> None:
    assert stub.Add(pb.AddRequest(n1=20, n2=10), timeout=5).n1 == 30
    assert stub.Substract(pb.SubstractRequest(n1=1, n2=2), timeout=5).n1 == -1
    assert stub.Subtract(pb.SubstractRequest(n1=1, n2=2), timeout=5).n1 == -1
    assert stub.Multiply(pb.MultiplyRequest(n1=20, n2=10), timeout=5).n1 == 200
    assert stub.Divide(pb.DivideRequest(n1=1, n2=2), timeout=5).f1 == 0.5


def test_results_up_to_the_bounds_of_int32_are_returned(stub: Any) -> None:
    assert stub.Add(pb.AddRequest(n1=MOST - 1, n2=1), timeout=5).n1 == MOST
    assert stub.Substract(pb.SubstractRequest(n1=LEAST + 1, n2=1), timeout=5).n1 == LEAST


@pytest.mark.parametrize(
    ("method", "request_message", "result"),
    [
        ("Add", pb.AddRequest(n1=MOST, n2=1), MOST + 1),
        ("Substract", pb.SubstractRequest(n1=LEAST, n2=1), LEAST - 1),
        ("Subtract", pb.SubstractRequest(n1=LEAST, n2=1), LEAST - 1),
        ("Multiply", pb.MultiplyRequest(n1=LEAST, n2=-1), -LEAST),
    ],
)
def test_a_result_beyond_int32_is_out_of_range(
    stub: Any, method: str, request_message: object, result: int
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(request_message, timeout=5)
    assert code(caught.value) is grpc.StatusCode.OUT_OF_RANGE
    assert str(result) in str(caught.value)


def test_a_division_by_zero_names_the_divisor(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Divide(pb.DivideRequest(n1=1), timeout=5)
    assert code(caught.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(caught.value) == [("n2", "must not be 0: division by zero has no result")]
