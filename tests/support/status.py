"""The status code that a client sees."""

from collections.abc import Callable
from typing import Any

import grpc


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
