"""What every call on a channel has, unless it says otherwise."""

from collections.abc import Callable
from typing import Any

import grpc

from app.client.details import Metadata, changed
from app.core.call import CURRENT_CALL
from app.core.metadata import REQUEST_ID


class CallDefaults(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds what `metadata` returns to each call, and a deadline of `timeout` seconds to those that set none.

    A call that is made while another is being served has at most the time that is left for that one, and its
    `x-request-id` unless it has one of its own.
    """

    def __init__(self, timeout: float | None, metadata: Callable[[], Metadata] = tuple) -> None:
        self._timeout = timeout
        self._metadata = metadata

    # One function for the four arities: each is handed the same three things.
    def _intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        timeout = self._timeout if details.timeout is None else details.timeout
        metadata = (*(details.metadata or ()), *self._metadata())
        served = CURRENT_CALL.get()
        if served is not None:
            left = served.time_remaining()
            timeout = min((one for one in (timeout, left) if one is not None), default=None)
            if served.request_id and all(key != REQUEST_ID for key, _ in metadata):
                metadata += ((REQUEST_ID, served.request_id),)
        return continuation(changed(details, timeout=timeout, metadata=metadata), request)

    intercept_unary_unary = _intercept  # type: ignore[assignment]
    intercept_unary_stream = _intercept  # type: ignore[assignment]
    intercept_stream_unary = _intercept  # type: ignore[assignment]
    intercept_stream_stream = _intercept  # type: ignore[assignment]
