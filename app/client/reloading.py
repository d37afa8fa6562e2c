"""Files and credentials that are replaced while a channel is open."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import grpc

from app.client.bare_stream import BareStreamMethod
from app.client.propagation import propagate_cancellation
from app.core.errors import StartError
from app.reload.file import WatchedFiles

Value = TypeVar("Value")
OnConnectivity = Callable[[grpc.ChannelConnectivity], None]

# The module of grpc's channels; a channel of any other class has been wrapped by somebody.
_GRPCS_OWN = "grpc._channel"

# A file that is being written is complete after this time, in seconds; Kubernetes replaces files atomically.
_SETTLED = 0.01


class ReloadingFiles(Generic[Value]):
    """Files whose parsed contents are kept up to date by their users, without a thread.

    `value` is the result of `parse` for the last good contents of all files together. Contents that `parse`
    rejects by ValueError, and files that cannot be read, are logged once, and the last good value stays. Safe
    for several threads. The constructor raises ValueError or OSError if the first contents are bad.
    """

    def __init__(self, paths: Sequence[Path], parse: Callable[..., Value], *, interval: float = 1.0) -> None:
        """`parse` gets each file's content, in the order of `paths`, and names the file in its errors."""
        try:
            self._files = WatchedFiles(paths, parse)
        except StartError as error:
            raise error.__cause__ or error from None
        self._interval = interval
        self._due = 0.0
        self._looking = Lock()

    @property
    def value(self) -> Value:
        return self._files.value

    def fresh(self) -> Value:
        """Reads the files, unless that was done within `interval` seconds, and returns the value.

        Only one thread reads at a time; the others return the current value at once. The reading thread waits
        for a moment only if it finds new contents, to check that they stay the same.
        """
        if monotonic() >= self._due and self._looking.acquire(blocking=False):
            try:
                if self._files.look():
                    sleep(_SETTLED)
                    self._files.look()
            finally:
                self._due = monotonic() + self._interval
                self._looking.release()
        return self._files.value


class ReloadingChannel(grpc.Channel, Generic[Value]):
    """Makes each call on a channel that `open_channel` opened for the newest value of the files.

    grpc's credentials cannot be changed. So after the files have changed, new calls go to a new channel.
    Running calls stay on the old one, which grpc closes when the last of them ends, because nothing else
    refers to it then (with GRPC_ENABLE_FORK_SUPPORT, grpc itself does). `close` ends all calls.

    Use it beneath interceptors, which ask for a method at each call; a method that is kept stays on the
    channel of that time. A call on a closed channel raises ValueError. Registered methods, which generated
    stubs ask for, would crash the process there (grpc 1.85), so none is registered.
    """

    def __init__(self, files: ReloadingFiles[Value], open_channel: Callable[[Value], grpc.Channel]) -> None:
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
            # Not the value that `fresh` returned: another thread may have read a newer one since.
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
        # A call refers to its decoder, and so to the channel, for as long as it runs.
        made = getattr(channel, arity)(method, encode, partial(_decode, channel, decode))
        if type(channel).__module__ != _GRPCS_OWN and arity.endswith("_stream"):
            made = BareStreamMethod(made)
        return propagate_cancellation(made)

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
        """Reports the states of the channel that new calls use."""
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


def _decode(_channel: grpc.Channel, decode: Callable[[bytes], Any] | None, data: bytes) -> Any:
    return data if decode is None else decode(data)
