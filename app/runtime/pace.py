"""How much work of each client may begin, while the process has more than it can do."""

import time
from collections.abc import Sequence
from math import inf

from app.reload.ticker import Ticker
from app.runtime.turns import Turns

# In seconds. Quotas are for one interval.
_INTERVAL = 0.05
# How long a client counts as one of several after its last call.
_RECENT = 1.0
# The process has more than it can do: work waits, and it uses so much of a core, or a thread has to wait so
# long until it runs.
_BUSY = 0.85
_LATE = 0.004
# The least quota, 200 calls a second, and one that limits nobody.
_LEAST = 10.0
_UNLIMITED = 1000.0


class Pace:
    """Slows the clients down that call most, where several call, until the process has time left.

    Turns alone do not help the others: grpc accepts calls in the order of their arrival, on one thread, and a
    client that gets each answer at once calls again at once. A client alone is not slowed down.
    """

    def __init__(self, turns: Sequence[Turns]) -> None:
        self._turns = turns
        self._quota = inf
        self._seen: dict[str, float] = {}  # when each client has last called

    def look(self, now: float, *, busy: bool) -> None:
        """`busy` says whether the process has more than it can do if work waits."""
        most = 0
        for turns in self._turns:
            for client, begun in turns.renew(self._quota).items():
                self._seen[client] = now
                most = max(most, begun)
        waiting = any(turns.waiting for turns in self._turns)
        for client in [one for one, seen in self._seen.items() if seen < now - _RECENT]:
            del self._seen[client]
        self._quota = self._next(most, overloaded=waiting and busy)

    def _next(self, most: int, *, overloaded: bool) -> float:
        """The quota, given how much work of one client has begun at most."""
        if len(self._seen) < 2:  # noqa: PLR2004 - alone
            return inf
        if overloaded:
            return max(_LEAST, min(self._quota, most) * 0.6)
        quota = self._quota * 1.1 + 1
        return quota if quota < _UNLIMITED else inf


class Paces(Ticker):
    """Several of them, on one thread. Each compares its clients among themselves."""

    def __init__(self, *paces: Pace) -> None:
        super().__init__("pace", _INTERVAL, self._look)
        self._paces = paces
        self._looked = time.monotonic()
        self._cpu = time.process_time()

    def _look(self) -> None:
        now, cpu = time.monotonic(), time.process_time()
        passed, used = now - self._looked, cpu - self._cpu
        self._looked, self._cpu = now, cpu
        busy = used / passed > _BUSY or passed - _INTERVAL > _LATE
        for pace in self._paces:
            pace.look(now, busy=busy)
