"""Calls that are over, and whose client does not read the reply."""

import time
from collections.abc import Callable, Iterable

from app.core.call import Call
from app.interceptors.concern import Concern
from app.reload.ticker import Ticker


class UnreadReplies(Concern, Ticker):
    """Cancels a call whose reply could not be sent within `seconds` after its end.

    Such a call keeps its reply in memory, and its place in the limit of its kind, for as long as its
    connection lasts.
    """

    def __init__(self, seconds: float, open_calls: Callable[[], Iterable[Call]]) -> None:
        """`open_calls` returns those whose reply has not been sent."""
        super().__init__("unread replies", min(1.0, seconds / 2), self._cancel_old)
        self._seconds = seconds
        self._open_calls = open_calls

    def _cancel_old(self) -> None:
        before = time.monotonic() - self._seconds
        for call in self._open_calls():
            if call.over and call.accepted_at + call.duration < before:
                call.cancel()
