"""How many transactions there are at once."""

import sys
import time
from collections import deque
from collections.abc import Callable
from threading import Event, Lock

from app.core.queue import Queue
from app.database.bound import Bound
from app.database.errors import Exhausted

Heard = Callable[[float], None]

# A transaction is refused at once if it is expected to wait longer than this part of what it may. Some wait
# longer than is expected: with 1, many of them would be refused after all that time.
_EXPECTED = 0.5


def _unheard(_seconds: float) -> None:
    """Nobody counts how long was waited."""


class _Turn:
    """A transaction that waits for a place."""

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes
        self.given = Event()


class _Running:
    """The transactions that have a place, and how many may wait for one."""

    def __init__(self, most: int, seconds: float) -> None:
        self.queue = Queue(most, seconds, sys.maxsize)
        # When each took its place. Which of them ends makes no difference to the mean.
        self.since: deque[float] = deque()

    def admits(self, waiting: int) -> bool:
        """Whether one more may wait, or need not."""
        running = len(self.since) + waiting
        return running < self.queue.places(running)

    def end(self, now: float) -> None:
        self.queue.ended(now, now - self.since.popleft())


class Places:
    """At most `size` transactions have a place, of which at most `writers` write.

    Writers may wait for each other inside the database, such as for a lock; reads then still have the other
    places. A transaction without a place waits, for at most `wait` seconds. A place goes to the one that
    has waited the longest, so reads do not hold up writers for ever either.

    Those that would wait in vain, by what transactions have taken lately, are refused at once: they would
    occupy a worker of this server, and then fail.
    """

    def __init__(self, size: int, wait: float, *, writers: int) -> None:
        self.size = size
        self.writers = writers
        self.waited: Heard = _unheard
        self._wait = wait
        self._all = _Running(size, wait * _EXPECTED)
        self._writing = _Running(writers, wait * _EXPECTED)
        self._line: deque[_Turn] = deque()
        self._lock = Lock()

    @property
    def used(self) -> int:
        return len(self._all.since)

    @property
    def writing(self) -> int:
        return len(self._writing.since)

    @property
    def waiting(self) -> int:
        return len(self._line)

    def take(self, bound: Bound, *, writes: bool) -> None:
        """Raises Exhausted, or as `bound.check`."""
        began = time.monotonic()
        taken = self._take(began, bound, writes=writes)
        self.waited(time.monotonic() - began)
        if not taken:
            bound.check()
            raise Exhausted(f"no connection to the database was free for {self._wait:g} s", "pool")

    def _take(self, now: float, bound: Bound, *, writes: bool) -> bool:
        with self._lock:
            self._check_line(writes=writes)
            if self._admits(writes=writes):  # those in line wait for something else
                self._admit(now, writes=writes)
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

    def _check_line(self, *, writes: bool) -> None:
        """Raises Exhausted if one more would wait too long. Reads do not wait for writers in line."""
        writers = sum(turn.writes for turn in self._line)
        reads = len(self._line) - writers
        if writes:
            admitted = self._writing.admits(writers) and self._all.admits(reads)
        else:
            admitted = self._all.admits(reads)
        if not admitted:
            raise Exhausted("too many transactions wait for a connection to the database", "pool")

    def free(self, *, writes: bool) -> None:
        now = time.monotonic()
        with self._lock:
            self._all.end(now)
            if writes:
                self._writing.end(now)
            for turn in self._line:
                if self._admits(writes=turn.writes):
                    self._admit(now, writes=turn.writes)
                    self._line.remove(turn)
                    turn.given.set()
                    return

    def _admits(self, *, writes: bool) -> bool:
        return self.used < self.size and not (writes and self.writing >= self.writers)

    def _admit(self, now: float, *, writes: bool) -> None:
        self._all.since.append(now)
        if writes:
            self._writing.since.append(now)
