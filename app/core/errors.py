"""The exceptions that end a call with a status code and a message for the client.

Any other exception is a bug, and the client sees `internal error`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from app.core.metadata import check_metadata


class StatusError(Exception):
    """Ends the call with `code` and `message`, both as the client will see them.

    `details` are messages of `google/rpc/error_details.proto`; they travel in the
    `grpc-status-details-bin` trailer, as richer error model clients expect them. `metadata` is further
    trailing metadata. Raises TypeError or ValueError for values that gRPC cannot send.
    """

    code = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        details: Sequence[Message] = (),
        metadata: Sequence[tuple[str, str | bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.message = check_message(message)
        self.code = check_code(code or self.code)
        self.details = details
        self.metadata = check_metadata(metadata)


def check_code(code: grpc.StatusCode) -> grpc.StatusCode:
    """Returns the code. Raises TypeError for anything else, such as its number."""
    if not isinstance(code, grpc.StatusCode):
        raise TypeError(f"a status code is a grpc.StatusCode, not {code!r}")
    return code


def check_message(message: str) -> str:
    """Returns the message. Raises TypeError or ValueError if gRPC cannot send it."""
    if not isinstance(message, str):
        raise TypeError(f"a status message is a str, not {type(message).__name__}")
    message.encode()  # a lone surrogate is a UnicodeEncodeError
    return message


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field by its name in the proto, and a description of what is wrong or expected."""

    field: str
    description: str


class InvalidArgument(StatusError):
    code = grpc.StatusCode.INVALID_ARGUMENT

    @classmethod
    def fields(cls, violations: Iterable[FieldViolation]) -> "InvalidArgument":
        """Lists every wrong field, in the message and as `google.rpc.BadRequest`."""
        found = list(violations)
        bad_request = error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=one.field, description=one.description)
                for one in found
            ]
        )
        return cls("; ".join(f"{one.field}: {one.description}" for one in found), details=[bad_request])


class FailedPrecondition(StatusError):
    """The server's state does not allow the call, and a retry alone changes nothing."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class OutOfRange(StatusError):
    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(StatusError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class TooLarge(ResourceExhausted):
    """A size exceeds its limit, and would again: asks clients not to retry (gRPC proposal A6)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, metadata=(("grpc-retry-pushback-ms", "-1"),))


class Unauthenticated(StatusError):
    """The caller is unknown. A known one that lacks permission is PermissionDenied."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(StatusError):
    code = grpc.StatusCode.PERMISSION_DENIED


class Unimplemented(StatusError):
    code = grpc.StatusCode.UNIMPLEMENTED


class DeadlineExceeded(StatusError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class MalformedMessage(StatusError):
    """The request cannot be decoded; gRPC's own code for this is INTERNAL."""

    code = grpc.StatusCode.INTERNAL


class CallEnded(Exception):
    """Raised in a handler whose call has ended, so that its thread becomes free. No answer can be sent."""


class UsageError(Exception):
    """A command was used wrongly: an argument, an option, a file, its input. Shown without a traceback."""


class StartError(Exception):
    """The process cannot start. One problem a line: what is wrong, and what was expected."""
