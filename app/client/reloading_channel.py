"""A channel that goes on with new credentials when they are renewed."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import grpc

from app.client.files import Files
from app.client.served import ending_with_the_served_call

Value = TypeVar("Value")
OnConnectivity = Callable[[grpc.ChannelConnectivity], None]


class ReloadingChannel(grpc.Channel, Generic[Value]):
    """Makes calls on a channel that `open_channel` made of the files' value, and of their newest one.

    grpc's credentials cannot be changed. So once the files have changed, a new channel takes over for new
    calls; those that go on keep the old one, which grpc closes when the last of them is over, for nobody
    else refers to it then (with GRPC_ENABLE_FORK_SUPPORT, grpc itself does). `close` ends them all.

    It stands beneath interceptors, which ask for a method at each call; whoever asks once stays on the
    channel of that time. A call on a closed channel raises ValueError: registered methods, which generated
    stubs ask for, would crash the process there (grpc 1.85), so that none is registered.
    """

    def __init__(self, files: Files[Value], open_channel: Callable[[Value], grpc.Channel]) -> None:
        self._files = files
        self._open_channel = open_channel
        self._changing = Lock()
        self._closed = False
        self._subscribed: list[tuple[OnConnectivity, bool]] = []
        self._value = files.value
        self._channel = open_channel(self._value)
        self._alive = WeakSet([self._channel])

    def _newest(self) -> grpc.Channel:
        self._files.fresh()
        with self._changing:
            if self._closed:
                raise ValueError("the channel is closed")
            # Not what `fresh` returned: another thread may have seen a newer one since.
            if self._files.value is not self._value:
                self._value, old = self._files.value, self._channel
                self._channel = self._open_channel(self._value)
                self._alive.add(self._channel)
                for callback, try_to_connect in self._subscribed:
                    old.unsubscribe(callback)
                    self._channel.subscribe(callback, try_to_connect)
            return self._channel

    def _method(self, arity: str, method: str, encode: Any, decode: Any) -> Any:
        channel = self._newest()
        # A call refers to its decoder, and so to the channel, for as long as it goes on.
        made = getattr(channel, arity)(method, encode, partial(_decoded, channel, decode))
        return ending_with_the_served_call(made)

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._method("unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._method("unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._method("stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._method("stream_stream", method, request_serializer, response_deserializer)

    def subscribe(self, callback: OnConnectivity, try_to_connect: bool | None = False) -> None:
        """Calls back with the states of the channel that new calls go out on."""
        self._newest()
        with self._changing:
            self._subscribed.append((callback, bool(try_to_connect)))
            self._channel.subscribe(callback, bool(try_to_connect))

    def unsubscribe(self, callback: OnConnectivity) -> None:
        with self._changing:
            found = next((one for one in self._subscribed if one[0] == callback), None)
            if found is not None:
                self._subscribed.remove(found)
                self._channel.unsubscribe(callback)

    def close(self) -> None:
        with self._changing:
            self._closed = True
            self._subscribed.clear()
            channels = list(self._alive)
        for channel in channels:
            channel.close()

    def __enter__(self) -> "ReloadingChannel[Value]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _decoded(_channel: grpc.Channel, decode: Callable[[bytes], Any] | None, data: bytes) -> Any:
    return data if decode is None else decode(data)
