"""Calls that are over, and whose client does not read the reply."""

import time

from app.core.call import Call
from app.interceptors.concern import Concern
from app.reload.ticker import Ticker


class UnreadReplies(Concern, Ticker):
    """Cancels a call whose reply could not be sent within `seconds` after its end.

    Such a call keeps its reply in memory, and its place in the limit of its kind, for as long as its
    connection lasts.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("unread replies", min(1.0, seconds / 2), self._cancel_old)
        self._seconds = seconds
        self._unsent: dict[Call, None] = {}  # in the order in which they ended

    def end(self, call: Call) -> None:
        self._unsent[call] = None

    def close(self, call: Call) -> None:
        self._unsent.pop(call, None)

    def _cancel_old(self) -> None:
        before = time.monotonic() - self._seconds
        for call in tuple(self._unsent):
            if call.accepted_at + call.duration > before:
                break
            if self._unsent.pop(call, call) is None:
                call.cancel()
