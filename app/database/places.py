"""How many transactions there are at once."""

import time
from collections import deque
from collections.abc import Callable
from threading import Event, Lock

from app.database.bound import Bound
from app.database.errors import Exhausted

Heard = Callable[[float], None]


def _unheard(_seconds: float) -> None:
    """Nobody counts how long was waited."""


class _Turn:
    """A transaction that waits for a place."""

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes
        self.given = Event()


class Places:
    """At most `size` transactions have a place, of which at most `writers` write.

    Writers may wait for each other inside the database, such as for a lock; reads then still have the other
    places. Who finds no place waits, for at most `wait` seconds. A place goes to the one that has waited the
    longest, so reads do not hold up writers for ever either.
    """

    def __init__(self, size: int, wait: float, *, writers: int) -> None:
        self.size = size
        self.writers = writers
        self.used = 0
        self.writing = 0
        self.waited: Heard = _unheard
        self._wait = wait
        self._line: deque[_Turn] = deque()
        self._lock = Lock()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def take(self, bound: Bound, *, writes: bool) -> None:
        """Raises Exhausted, or as `bound.check`."""
        began = time.monotonic()
        if not self._take(bound, writes=writes):
            self.waited(time.monotonic() - began)
            bound.check()
            raise Exhausted(f"no connection to the database was free for {self._wait:g} s", "pool")
        self.waited(time.monotonic() - began)

    def _take(self, bound: Bound, *, writes: bool) -> bool:
        with self._lock:
            if self._admits(writes=writes):  # those in line wait for something else
                self._admit(writes=writes)
                return True
            turn = _Turn(writes=writes)
            self._line.append(turn)
        try:
            turn.given.wait(min(self._wait, bound.left()))
        finally:
            with self._lock:
                if not turn.given.is_set():
                    self._line.remove(turn)
        return turn.given.is_set()

    def free(self, *, writes: bool) -> None:
        with self._lock:
            self.used -= 1
            self.writing -= writes
            for turn in self._line:
                if self._admits(writes=turn.writes):
                    self._admit(writes=turn.writes)
                    self._line.remove(turn)
                    turn.given.set()
                    return

    def _admits(self, *, writes: bool) -> bool:
        return self.used < self.size and not (writes and self.writing >= self.writers)

    def _admit(self, *, writes: bool) -> None:
        self.used += 1
        self.writing += writes
