"""Streams on which nothing is sent."""

import time

from app.core.call import Call
from app.core.method import Arity, Method
from app.interceptors.concern import Concern
from app.reload.ticker import Ticker


class IdleStreams(Concern, Ticker):
    """Cancels a stream whose handler has waited for its client for `seconds`; no side has sent a message.

    It waits where it reads, and where it sends and the client does not take the message. Otherwise such a
    stream would keep its thread from others until the server's deadline. A handler that works is not idle.
    """

    def __init__(self, seconds: float, exempt: frozenset[str] = frozenset()) -> None:
        """`exempt` are full names of services whose streams may be idle, such as health Watches."""
        super().__init__("idle streams", min(1.0, seconds / 4), self._cancel_idle)
        self._seconds = seconds
        self._exempt = exempt
        self._streams: set[Call] = set()

    def for_method(self, method: Method) -> Concern | None:
        return None if method.arity is Arity.UNARY or method.service in self._exempt else self

    def start(self, call: Call) -> None:
        self._streams.add(call)

    def end(self, call: Call) -> None:
        self._streams.discard(call)

    def _cancel_idle(self) -> None:
        before = time.monotonic() - self._seconds
        for call in tuple(self._streams):
            if call.waiting_since is not None and call.waiting_since < before:
                self._streams.discard(call)
                call.cancel()
