"""What every call on a channel has, unless it says otherwise."""

from collections.abc import Callable
from typing import Any

import grpc

from app.client.details import Metadata, changed


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
        timeout = self._timeout if details.timeout is None else details.timeout
        metadata = (*(details.metadata or ()), *self._metadata)
        return continuation(changed(details, timeout=timeout, metadata=metadata), request)

    intercept_unary_unary = _intercept  # type: ignore[assignment]
    intercept_unary_stream = _intercept  # type: ignore[assignment]
    intercept_stream_unary = _intercept  # type: ignore[assignment]
    intercept_stream_stream = _intercept  # type: ignore[assignment]
