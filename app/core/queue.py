"""How many calls may be at work, or wait for a worker or for the database."""

import time

# The mean of what calls take follows about so many of the last ones.
_CALLS = 64


class Queue:
    """Limits the queue of a pool by time, not by number: `places` falls as calls take longer.

    A call waits for those that are queued before it. It is admitted if the wait that is to be expected, by
    what calls have taken lately, is at most `seconds`. So short calls may arrive in bursts, and a queue of
    long ones stays short. One call may wait in any case.

    Not thread-safe: for use under a lock.
    """

    def __init__(self, workers: int, seconds: float, most: int) -> None:
        """`most` limits the places, however short calls are."""
        self._workers = workers
        self.roomy = workers - 1  # with fewer calls running, `places` need not be asked: it is the most
        self._seconds = seconds
        self._most = most
        self._measured = 0  # calls, up to _CALLS
        self._mean = 0.0  # seconds
        self._moved_at = 0.0  # when a worker was free last, or became free

    def places(self, running: int) -> int:
        """How many calls may be running and queued, when so many are."""
        if running < self.roomy:
            return self._most
        now = time.monotonic()
        if running < self._workers:  # the last call for which a worker is free
            self._moved_at = now
            return self._most
        # While no call ends, calls take at least as long as that: workers may be blocked.
        takes = max(self._mean, now - self._moved_at)
        queued = self._workers * self._seconds / takes if takes else self._most
        return min(self._most, self._workers + max(1, int(min(queued, self._most))))

    def ended(self, now: float, took: float) -> None:
        """A worker has ended a call that took so many seconds."""
        self._moved_at = now
        if self._measured < _CALLS:
            self._measured += 1
        self._mean += (took - self._mean) / self._measured
