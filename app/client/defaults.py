"""What every call on a channel has, unless it says otherwise."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

Metadata = Sequence[tuple[str, str | bytes]]


class _Details(NamedTuple):
    """grpc.ClientCallDetails is an interface without a constructor."""

    method: str
    timeout: float | None
    metadata: Metadata | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class CallDefaults(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds `metadata` to each call, and a deadline of `timeout` seconds to those that set none."""

    def __init__(self, metadata: Metadata, timeout: float | None) -> None:
        self._metadata = tuple(metadata)
        self._timeout = timeout

    # One function for the four arities: each is handed the same three things.
    def _intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(
            _Details(
                details.method,
                self._timeout if details.timeout is None else details.timeout,
                (*(details.metadata or ()), *self._metadata),
                details.credentials,
                details.wait_for_ready,
                details.compression,
            ),
            request,
        )

    intercept_unary_unary = _intercept  # type: ignore[assignment]
    intercept_unary_stream = _intercept  # type: ignore[assignment]
    intercept_stream_unary = _intercept  # type: ignore[assignment]
    intercept_stream_stream = _intercept  # type: ignore[assignment]
