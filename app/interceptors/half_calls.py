"""The calls whose first message has not come yet."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from time import monotonic
from typing import Generic, TypeVar

from app.core.call import Call
from app.core.errors import DeadlineExceeded
from app.core.refusal import Refusal

T = TypeVar("T")

# A younger call is not ended to make room, in seconds: its message may be on its way.
_YOUNG = 0.1

# How many calls are ended in one go, and which part of all that are due on top: to end one costs as much as
# to serve one. Those that are late end within a second, those beyond the bound within a few.
_LATE, _PART_OF_LATE = 20, 25
_BEYOND, _PART_BEYOND = 10, 200


@dataclass(frozen=True)
class Bound:
    """How many calls may wait at once, and how long each."""

    most: int
    seconds: float


class HalfCalls(Generic[T]):
    """Keeps them in the order of their age, each with what is needed to end it.

    `add` and `take` are called on grpc's polling thread, `end_some` on another.
    """

    def __init__(self, bound: Bound, end: Callable[[Call, T, Exception], None]) -> None:
        self._bound = bound
        self._end = end
        self._waiting: dict[Call, T] = {}

    def add(self, call: Call, what: T) -> None:
        self._waiting[call] = what

    def take(self, call: Call) -> bool:
        """Returns whether the call still waits, which it does no longer. True for one caller only."""
        return self._waiting.pop(call, None) is not None

    def end_some(self) -> bool:
        """Ends the oldest, if they have waited for too long or there are too many; whether any was due.

        Not all at once: that would hold up every other call.
        """
        waiting = list(self._waiting)  # a copy: calls come and go meanwhile
        age, now = attrgetter("accepted_at"), monotonic()
        late = bisect_right(waiting, now - self._bound.seconds, key=age)
        beyond = min(len(waiting) - self._bound.most, bisect_right(waiting, now - _YOUNG, key=age))
        for call in waiting[: min(late, _LATE + late // _PART_OF_LATE)]:
            self._end_one(call, f"no request message arrived within {self._bound.seconds:g} s")
        if not late and beyond > 0:
            for call in waiting[: min(beyond, _BEYOND + beyond // _PART_BEYOND)]:
                self._end_one(call, f"too many calls wait for a request message (limit {self._bound.most})")
        return late > 0 or beyond > 0

    def _end_one(self, call: Call, message: str) -> None:
        what = self._waiting.pop(call, None)
        if what is not None:
            call.refusal = Refusal.FIRST_MESSAGE
            self._end(call, what, DeadlineExceeded(message))
