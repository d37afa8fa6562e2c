"""How many transactions there are at once."""

import time
from collections.abc import Callable
from threading import Lock, Semaphore

from app.database.bound import Bound
from app.database.errors import Exhausted

Heard = Callable[[float], None]


def _unheard(_seconds: float) -> None:
    """Nobody counts how long was waited."""


class Places:
    """At most `size` transactions have a place. Others wait, for at most `wait` seconds each."""

    def __init__(self, size: int, wait: float) -> None:
        self.size = size
        self.used = 0
        self.waiting = 0
        self.waited: Heard = _unheard
        self._wait = wait
        self._free = Semaphore(size)
        self._lock = Lock()

    def take(self, bound: Bound) -> None:
        """Raises Exhausted, or as `bound.check`."""
        began = time.monotonic()
        with self._lock:
            self.waiting += 1
        try:
            taken = self._free.acquire(timeout=min(self._wait, bound.left()))
        finally:
            with self._lock:
                self.waiting -= 1
        self.waited(time.monotonic() - began)
        if not taken:
            bound.check()
            raise Exhausted(f"no connection to the database was free for {self._wait:g} s", "pool")
        with self._lock:
            self.used += 1

    def free(self) -> None:
        with self._lock:
            self.used -= 1
        self._free.release()
