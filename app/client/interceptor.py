"""The base of the channel's interceptors: one method for calls of all four arities."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from app.core.method import Arity

Metadata = Sequence[tuple[str, str | bytes]]

# Makes the call: of the details and the request (an iterator of requests where they are a stream), the call.
Continuation = Callable[[Any, Any], Any]


class Details(NamedTuple):
    """An implementation of grpc.ClientCallDetails, which is an interface without a constructor."""

    method: str
    timeout: float | None
    metadata: Metadata | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Interceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Implements grpc's four interfaces by one method."""

    @abstractmethod
    def intercept(self, arity: Arity, continuation: Continuation, details: Details, request: Any) -> Any:
        """Makes the call by `continuation(details, request)`, with other details where they should differ."""

    def intercept_unary_unary(self, continuation: Continuation, details: Any, request: Any) -> Any:
        return self.intercept(Arity.UNARY, continuation, _copy(details), request)

    def intercept_unary_stream(self, continuation: Continuation, details: Any, request: Any) -> Any:
        return self.intercept(Arity.SERVER_STREAM, continuation, _copy(details), request)

    def intercept_stream_unary(self, continuation: Continuation, details: Any, requests: Any) -> Any:
        return self.intercept(Arity.CLIENT_STREAM, continuation, _copy(details), requests)

    def intercept_stream_stream(self, continuation: Continuation, details: Any, requests: Any) -> Any:
        return self.intercept(Arity.BIDI_STREAM, continuation, _copy(details), requests)


def _copy(details: grpc.ClientCallDetails) -> Details:
    return Details(*(getattr(details, field) for field in Details._fields))
