"""Streams of replies from a channel that somebody has wrapped, as plain iterators.

Instrumentation that is put around a program may return a generator in place of grpc's call.
"""

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import grpc

from app.client.propagation import CancelledError


class BareStreamMethod:
    """A method of such a channel. Passes grpc's own calls on, and makes calls of iterators that are not."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self, request: Any, **options: Any) -> Any:
        replies = self._method(request, **options)
        return replies if hasattr(replies, "cancel") else BareStream(iter(replies))


@grpc.Call.register
@grpc.Future.register
class BareStream:
    """Gives an iterator of replies the parts of grpc's call that interceptors and callers use.

    `cancel` closes a generator, which ends the call beneath. One that waits for a reply on another thread
    cannot be closed: it ends with its next reply, or at the call's deadline.
    """

    def __init__(self, replies: Iterator[Any]) -> None:
        self._replies = replies
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailers: Any = ()
        self._callbacks: list[Callable[[], object]] = []
        self._ending = Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            reply = next(self._replies)
        except StopIteration:
            self._end(grpc.StatusCode.OK)
            if self.cancelled():  # it was closed; the stream is not complete
                raise CancelledError(self) from None
            raise
        except grpc.RpcError as error:
            known: Any = error
            if hasattr(known, "code"):
                self._details, self._trailers = known.details(), known.trailing_metadata()
            self._end(known.code() if hasattr(known, "code") else grpc.StatusCode.UNKNOWN)
            raise
        except BaseException:
            self._end(grpc.StatusCode.UNKNOWN)
            raise
        if self.cancelled():  # it could not be closed then
            self._close()
            raise CancelledError(self)
        return reply

    def _end(self, code: grpc.StatusCode) -> bool:
        with self._ending:
            if self._code is not None:
                return False
            self._code = code
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
        return True

    def _close(self) -> None:
        close = getattr(self._replies, "close", None)
        if close is not None:
            try:
                close()
            except ValueError:  # it is running, on another thread
                return

    def cancel(self) -> bool:
        ended = self._end(grpc.StatusCode.CANCELLED)
        if ended:
            self._close()
        return ended

    def add_callback(self, callback: Callable[[], object]) -> bool:
        with self._ending:
            if self._code is None:
                self._callbacks.append(callback)
                return True
        return False

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        if not self.add_callback(lambda: callback(self)):
            callback(self)

    def done(self) -> bool:
        return self._code is not None

    def is_active(self) -> bool:
        return self._code is None

    def cancelled(self) -> bool:
        return self._code is grpc.StatusCode.CANCELLED

    def code(self) -> grpc.StatusCode | None:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailers

    def initial_metadata(self) -> Any:
        return ()

    def time_remaining(self) -> float | None:
        return None
