"""Memory that grows."""

import threading

# What is taken at most, in bytes.
MOST = 2 * 1024**3

# The time between two steps, in seconds.
_STEP = 0.1


class Memory:
    """Takes memory at a rate, and releases all of it at the rate 0."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[bytes] = []
        self._stop = threading.Event()

    @property
    def held(self) -> int:
        """Bytes."""
        with self._lock:
            return sum(map(len, self._held))

    def grow(self, rate: int) -> None:
        """Takes `rate` bytes a second from now on, instead of the rate before."""
        with self._lock:
            self._stop.set()
            self._stop = stop = threading.Event()
            if rate == 0:
                self._held.clear()
            else:
                threading.Thread(target=self._take, args=(rate, stop), name="memory", daemon=True).start()

    def _take(self, rate: int, stop: threading.Event) -> None:
        while not stop.wait(_STEP):
            with self._lock:
                if not stop.is_set() and sum(map(len, self._held)) < MOST:
                    self._held.append(b"x" * int(rate * _STEP))  # written, so that it is resident
