"""The deadlines of calls: the client's, and the server's own."""

import time
from collections.abc import Callable, Iterable

from app.core.call import Call
from app.core.errors import DeadlineExceeded
from app.core.method import Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern
from app.reload.ticker import Ticker

# How long past the server's deadline a handler may be blocked before its call is cancelled, in seconds.
_PATIENCE = 0.5


class Deadline(Concern, Ticker):
    """Refuses a call whose deadline passed in the queue, and gives every call a deadline of the server.

    That is `call.expires_at`, `most` seconds after acceptance, where the client's own is later or not set. A
    running handler cannot be interrupted: past the server's deadline, the call ends with DEADLINE_EXCEEDED
    when the handler next reads, yields, waits through the context, or returns. A handler that is blocked in a
    read or a write then, because its client idles, is freed soon after: its call ends with CANCELLED.
    """

    def __init__(
        self,
        most: float,
        open_calls: Callable[[], Iterable[Call]],
        exempt: frozenset[str] = frozenset(),
    ) -> None:
        """`exempt` are full names of services whose calls may last, such as health Watches."""
        super().__init__("deadlines", _PATIENCE / 2, self._cancel_blocked)
        self._most = most
        self._exempt = exempt
        self._open_calls = open_calls

    def for_method(self, method: Method) -> Concern | None:
        return None if method.service in self._exempt else self

    def start(self, call: Call) -> None:
        remaining = call.context.time_remaining()  # many years without a deadline
        if remaining <= 0:
            call.refusal = Refusal.DEADLINE
            raise DeadlineExceeded("deadline exceeded before the call was started")
        if remaining > self._most:
            call.expires_at = call.accepted_at + self._most

    def _cancel_blocked(self) -> None:
        late = time.monotonic() - _PATIENCE
        for call in self._open_calls():
            if call.expires_at is not None and call.expires_at < late and not call.over:
                call.cancel()
