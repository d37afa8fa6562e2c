"""What a service raises to end a call with a status code and a message for the client.

Only these reach a client in words. Any other exception is a bug, and the client sees `internal error`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from app.core.metadata import checked


class StatusError(Exception):
    """Ends the call with `code` and `message`, both as the client will see them.

    `details` are messages of `google/rpc/error_details.proto`; they travel in the
    `grpc-status-details-bin` trailer, as richer error model clients expect them. `metadata` is further
    trailing metadata. Raises TypeError or ValueError for what gRPC could not send.
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
        self.message = checked_message(message)
        self.code = checked_code(code or self.code)
        self.details = details
        self.metadata = checked(metadata)


def checked_code(code: grpc.StatusCode) -> grpc.StatusCode:
    """Returns the code. Raises TypeError where it is something else, such as its number."""
    if not isinstance(code, grpc.StatusCode):
        raise TypeError(f"a status code is a grpc.StatusCode, not {code!r}")
    return code


def checked_message(message: str) -> str:
    """Returns the message. Raises TypeError or ValueError where gRPC could not send it."""
    if not isinstance(message, str):
        raise TypeError(f"a status message is a str, not {type(message).__name__}")
    message.encode()  # a lone surrogate is a UnicodeEncodeError
    return message


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field by its name in the proto, and what would be right, in words."""

    field: str
    description: str


class InvalidArgument(StatusError):
    code = grpc.StatusCode.INVALID_ARGUMENT

    @classmethod
    def fields(cls, violations: Iterable[FieldViolation]) -> "InvalidArgument":
        """Names every field that is wrong, in the message and as `google.rpc.BadRequest`."""
        found = list(violations)
        bad_request = error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=one.field, description=one.description)
                for one in found
            ]
        )
        return cls("; ".join(f"{one.field}: {one.description}" for one in found), details=[bad_request])


class OutOfRange(StatusError):
    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(StatusError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class TooLarge(ResourceExhausted):
    """Over a bound, and so it would be again: clients that retry are told not to (gRPC proposal A6)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, metadata=(("grpc-retry-pushback-ms", "-1"),))


class Unauthenticated(StatusError):
    """Nobody is known to call. Where somebody is, who may not, it is PermissionDenied."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(StatusError):
    code = grpc.StatusCode.PERMISSION_DENIED


class Unimplemented(StatusError):
    code = grpc.StatusCode.UNIMPLEMENTED


class DeadlineExceeded(StatusError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class MalformedMessage(StatusError):
    """The request's bytes are not the message that the method takes; gRPC's own code for it is INTERNAL."""

    code = grpc.StatusCode.INTERNAL


class CallEnded(Exception):
    """Raised in a handler whose call is over, so that its thread is free. Nobody is left to be answered."""


class StartError(Exception):
    """The process cannot start. The text says what is wrong and what would be right, one problem a line."""
