"""The status code that a client sees."""

from collections.abc import Callable
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def code(error: grpc.RpcError) -> grpc.StatusCode:
    """The status code of a call that failed."""
    call: Any = error  # grpc types the errors that its clients raise as RpcError alone
    found: grpc.StatusCode = call.code()
    return found


def outcome(call: Callable[[], Any]) -> grpc.StatusCode:
    """The status code that the client of this call sees."""
    try:
        call()
    except grpc.RpcError as error:
        return code(error)
    return grpc.StatusCode.OK


def violations(error: grpc.RpcError) -> list[tuple[str, str]]:
    """The fields that a google.rpc.BadRequest names, with what is wrong with each."""
    call: Any = error
    status = rpc_status.from_call(call)
    assert status is not None
    [detail] = status.details
    bad_request = error_details_pb2.BadRequest()
    assert detail.Unpack(bad_request)
    return [(one.field, one.description) for one in bad_request.field_violations]
