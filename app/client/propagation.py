"""Deadlines, request ids and cancellation: from the call being served to the calls that its handler makes.

Also the channel's own defaults: its deadline and its token.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import grpc

from app.client.interceptor import Continuation, Details, Interceptor, Metadata
from app.core.call import CURRENT_CALL, Call
from app.core.metadata import REQUEST_ID
from app.core.method import Arity

_outgoing: "WeakKeyDictionary[Call, OutgoingCalls]" = WeakKeyDictionary()
_finding = Lock()


class CallDefaults(Interceptor):
    """Adds what `metadata` returns to each call, and a deadline of `timeout` seconds to those without one.

    A call made while another is being served gets at most the time left for that one, and its `x-request-id`
    unless it has its own.
    """

    def __init__(self, timeout: float | None, metadata: Callable[[], Metadata] = tuple) -> None:
        self._timeout = timeout
        self._metadata = metadata

    def intercept(self, arity: Arity, continuation: Continuation, details: Details, request: Any) -> Any:
        timeout = self._timeout if details.timeout is None else details.timeout
        metadata = (*(details.metadata or ()), *self._metadata())
        served = CURRENT_CALL.get()
        if served is not None:
            left = served.time_remaining()
            timeout = min((one for one in (timeout, left) if one is not None), default=None)
            if served.request_id and all(key != REQUEST_ID for key, _ in metadata):
                metadata += ((REQUEST_ID, served.request_id),)
        return continuation(details._replace(timeout=timeout, metadata=metadata), request)


def propagate_cancellation(method: Any) -> Any:
    """Wraps a method of a channel: its calls are cancelled when the call now being served is over.

    That call is over when its client has left, its deadline has passed, or its handler has returned. Returns
    the method itself while no call is being served.
    """
    served = CURRENT_CALL.get()
    return method if served is None else _Method(method, _outgoing_of(served))


def _outgoing_of(served: Call) -> "OutgoingCalls":
    """The same object for each served call: grpc keeps every callback until the call is over."""
    with _finding:
        found = _outgoing.get(served)
        if found is None:
            found = _outgoing[served] = OutgoingCalls()
            if not served.add_callback(found.cancel):
                found.cancel()
        return found


class OutgoingCalls:
    """The calls made by the handler of one served call."""

    def __init__(self) -> None:
        self._calls: WeakSet[Any] = WeakSet()
        self._over = False
        self._changing = Lock()

    def add(self, call: Any) -> None:
        with self._changing:
            self._calls.add(call)
            over = self._over
        if over:
            call.cancel()

    def cancel(self) -> None:
        with self._changing:
            self._over = True
            calls = list(self._calls)
        for call in calls:
            call.cancel()


class _Method:
    """A method of a channel, of any arity, with the interface that interceptors use."""

    def __init__(self, method: Any, outgoing: OutgoingCalls) -> None:
        self._method = method
        self._outgoing = outgoing

    def __call__(self, request: Any, **options: Any) -> Any:
        """Begins a call whose replies are a stream."""
        call = self._method(request, **options)
        self._outgoing.add(call)
        return call

    def future(self, request: Any, **options: Any) -> Any:
        call = self._method.future(request, **options)
        self._outgoing.add(call)
        return call

    def with_call(self, request: Any, **options: Any) -> Any:
        """Waits for the reply on a future: grpc's own `with_call` cannot be cancelled from another thread."""
        call = self.future(request, **options)
        try:
            return call.result(), call
        except grpc.FutureCancelledError:
            raise CancelledError(call) from None


@grpc.Call.register
@grpc.Future.register
class CancelledError(grpc.RpcError):
    """Raised to a caller that waits for a call when it is cancelled; grpc has no RpcError for that case."""

    def __init__(self, call: Any) -> None:
        super().__init__(repr(call))
        self._call = call

    def result(self, timeout: float | None = None) -> Any:
        raise self

    def exception(self, timeout: float | None = None) -> "CancelledError":
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
