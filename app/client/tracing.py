"""Spans for outgoing calls, and the caller's trace in their metadata."""

from collections.abc import Callable
from typing import Any, Self

import grpc
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.trace import TracerProvider


class TracedChannel(grpc.Channel):
    """Calls with one reply have spans, by opentelemetry-instrumentation-grpc.

    Calls with a stream of replies have none: that package hands those back as bare generators, without
    `cancel` or `code`.
    """

    def __init__(self, channel: grpc.Channel, provider: TracerProvider) -> None:
        self._channel = channel
        interceptor = client_interceptor(provider)  # type: ignore[no-untyped-call]
        self._traced = intercept_channel(channel, interceptor)  # type: ignore[no-untyped-call]

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._traced.unary_unary(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._traced.stream_unary(*args, **kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._channel.unary_stream(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._channel.stream_stream(*args, **kwargs)

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False
    ) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
