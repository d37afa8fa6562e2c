"""Outgoing calls that are made for a call that is being served: they end with it."""

from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import grpc

from app.core.call import CURRENT_CALL, Call

_outgoing: "WeakKeyDictionary[Call, Outgoing]" = WeakKeyDictionary()
_finding = Lock()


def ending_with_the_served_call(method: Any) -> Any:
    """The same method of a channel; while a call is being served, its calls are cancelled when that is over.

    It is over when its client has left, its deadline has passed, or its handler has returned.
    """
    served = CURRENT_CALL.get()
    return method if served is None else _Method(method, _outgoing_of(served))


def _outgoing_of(served: Call) -> "Outgoing":
    """One for each served call: grpc keeps every callback until that is over."""
    with _finding:
        found = _outgoing.get(served)
        if found is None:
            found = _outgoing[served] = Outgoing()
            if not served.add_callback(found.cancel):
                found.cancel()
        return found


class Outgoing:
    """The outgoing calls of one served call."""

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
    """A method of a channel, of any arity, as interceptors call it."""

    def __init__(self, method: Any, outgoing: Outgoing) -> None:
        self._method = method
        self._outgoing = outgoing

    def __call__(self, request: Any, **how: Any) -> Any:
        """Begins a call whose replies are a stream."""
        call = self._method(request, **how)
        self._outgoing.add(call)
        return call

    def future(self, request: Any, **how: Any) -> Any:
        call = self._method.future(request, **how)
        self._outgoing.add(call)
        return call

    def with_call(self, request: Any, **how: Any) -> Any:
        """Waits for the reply. grpc's own way could not be cancelled, and would hold its thread."""
        call = self.future(request, **how)
        try:
            return call.result(), call
        except grpc.FutureCancelledError:
            raise _Cancelled(call) from None


@grpc.Call.register
@grpc.Future.register
class _Cancelled(grpc.RpcError):
    """What a caller sees who waited for a call that was cancelled; grpc has it from servers alone."""

    def __init__(self, call: Any) -> None:
        super().__init__(repr(call))
        self._call = call

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        raise self

    def exception(self, timeout: float | None = None) -> "_Cancelled":
        del timeout
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
