"""The calls whose first message has not come yet."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from time import monotonic

from app.core.call import Call
from app.core.errors import DeadlineExceeded
from app.core.refusal import Refusal
from app.core.work import Work

# A younger call is not ended to make room, in seconds: its message may be on its way.
_YOUNG = 0.1

# A batch is a number of calls plus a part of all that are due: to end one costs as much as to serve one.
# Late calls end within a second, those beyond the limit within a few.
_LATE_BATCH = 20
_LATE_DIVISOR = 25
_EXCESS_BATCH = 10
_EXCESS_DIVISOR = 200


@dataclass(frozen=True)
class WaitingLimit:
    """How many calls may wait at once, and how long each."""

    most: int
    seconds: float


class WaitingCalls:
    """Keeps them in the order of their age, each with its work.

    `add` and `take` are called on grpc's polling thread, `end_some` on another.
    """

    def __init__(self, limit: WaitingLimit, end: Callable[[Call, Work, Exception], None]) -> None:
        self._limit = limit
        self._end = end
        self._waiting: dict[Call, Work] = {}

    def add(self, call: Call, work: Work) -> None:
        self._waiting[call] = work

    def take(self, call: Call) -> Work | None:
        """Returns the work of a call that still waits, which it does no longer. Only one caller gets it."""
        return self._waiting.pop(call, None)

    def end_some(self) -> bool:
        """Ends the oldest, if they have waited for too long or there are too many; whether any was due.

        Where there are too many, those of clients that have their share or less stay.

        Not all at once: that would hold up every other call.
        """
        waiting = list(self._waiting)  # a copy: calls come and go meanwhile
        age, now = attrgetter("accepted_at"), monotonic()
        late = bisect_right(waiting, now - self._limit.seconds, key=age)
        excess = len(waiting) - self._limit.most
        for call in waiting[: min(late, _LATE_BATCH + late // _LATE_DIVISOR)]:
            self._end_one(call, f"no request message arrived within {self._limit.seconds:g} s")
        if late or excess <= 0:
            return late > 0
        old = self._of_the_greedy(waiting, waiting[: bisect_right(waiting, now - _YOUNG, key=age)])
        for call in old[: min(excess, _EXCESS_BATCH + excess // _EXCESS_DIVISOR)]:
            self._end_one(call, f"too many calls wait for a request message (limit {self._limit.most})")
        return bool(old)

    def _of_the_greedy(self, waiting: list[Call], old: list[Call]) -> list[Call]:
        """Those of the old calls whose client has more than its share of the places."""
        places = Counter(call.share for call in waiting)
        share = self._limit.most / len(places)
        return [call for call in old if places[call.share] > share]

    def _end_one(self, call: Call, message: str) -> None:
        work = self.take(call)
        if work is not None:
            call.refusal = Refusal.FIRST_MESSAGE
            self._end(call, work, DeadlineExceeded(message))
