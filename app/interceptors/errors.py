"""The mapping of exceptions to status codes."""

import secrets

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from app.core.call import Call
from app.core.errors import StatusError
from app.interceptors.concern import Concern


class Errors(Concern):
    """Maps a StatusError to its code, message and details, and any other exception to INTERNAL.

    For the latter the client sees `internal error` and an error id; the log has the traceback under that id,
    and nothing else leaves the process. A method that the servicer does not override is UNIMPLEMENTED.
    """

    def fail(self, call: Call, error: BaseException) -> None:
        if isinstance(error, StatusError):
            call.status, call.message = error.code, error.message
            call.add_trailing_metadata(error.metadata)
            call.add_trailing_metadata(_details(error))
            return
        if isinstance(error, NotImplementedError) and call.status is grpc.StatusCode.UNIMPLEMENTED:
            return  # the generated servicer has set code and message, and raised this
        error_id = secrets.token_hex(8)
        call.status, call.message = grpc.StatusCode.INTERNAL, f"internal error (error id {error_id})"
        structlog.get_logger().error(
            "unhandled_exception",
            service=call.method.service,
            method=call.method.name,
            error_id=error_id,
            request_id=call.request_id,
            trace_id=call.trace_id,
            exc_info=error,
        )


def _details(error: StatusError) -> tuple[tuple[str, str | bytes], ...]:
    """The richer error model: a google.rpc.Status in the trailer that clients look for."""
    if not error.details:
        return ()
    packed = []
    for detail in error.details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=error.code.value[0], message=error.message, details=packed)
    return tuple(rpc_status.to_status(status).trailing_metadata)
