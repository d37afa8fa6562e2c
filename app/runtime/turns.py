"""Work that waits for threads, of which each client has its turn."""

from collections import deque
from collections.abc import Callable
from math import inf
from queue import SimpleQueue
from threading import Lock
from typing import Any

Work = tuple[Callable[..., Any], tuple[Any, ...]]


class Turns:
    """A queue for each client, served in turn: how long one waits does not depend on what others have queued.

    A client may be given a quota: how much of its work may begin until the next `renew`. The threads that ask
    for `spare` work are for clients that have waited since the last `renew` while others have all threads.
    """

    def __init__(self, threads: int, spare: int = 0) -> None:
        self._threads = threads
        self._spare = spare
        self._lock = Lock()
        self._tokens: SimpleQueue[bool] = SimpleQueue()  # one for each piece of work; False ends a thread
        self._spare_tokens: SimpleQueue[str | None] = SimpleQueue()  # whose work; None ends a thread
        self._queues: dict[str, deque[Work]] = {}
        self._turns: deque[str] = deque()  # the clients with work and some quota
        self._paused: list[str] = []  # the clients with work that have used up their quota
        self._owed = 0  # tokens that have been taken for their work
        self._quota = inf
        self._ended = False
        self.waiting = 0  # pieces of work, at the last `renew`
        self._begun: dict[str, int] = {}  # since the last `renew`
        self._running: dict[str, int] = {}

    def put(self, client: str, work: Work) -> None:
        with self._lock:
            queue = self._queues.get(client)
            if queue is None:
                self._queues[client] = deque((work,))
                self._turns.append(client)
            else:
                queue.append(work)
        self._tokens.put(True)

    def get(self) -> tuple[str, Work] | None:
        """Waits for work. Call `done` after it. None: the thread has to end."""
        while self._tokens.get():
            with self._lock:
                while self._turns:
                    client = self._turns.popleft()
                    if self._begun.get(client, 0) < self._quota:
                        work = self._take(client)
                        if client in self._queues:
                            self._turns.append(client)
                        return client, work
                    self._paused.append(client)
                self._owed += 1
        return None

    def get_spare(self) -> tuple[str, Work] | None:
        """As `get`, for a thread that serves clients which others leave no thread."""
        while (client := self._spare_tokens.get()) is not None:
            with self._lock:
                if client in self._queues:
                    work = self._take(client)
                    if client not in self._queues:
                        if client in self._turns:
                            self._turns.remove(client)
                        else:
                            self._paused.remove(client)
                    return client, work
        return None

    def _take(self, client: str) -> Work:
        queue = self._queues[client]
        work = queue.popleft()
        if not queue:
            del self._queues[client]
        self._begun[client] = self._begun.get(client, 0) + 1
        self._running[client] = self._running.get(client, 0) + 1
        return work

    def done(self, client: str) -> None:
        with self._lock:
            left = self._running[client] - 1
            if left:
                self._running[client] = left
            else:
                del self._running[client]

    def renew(self, quota: float) -> dict[str, int]:
        """Gives each client a new quota. Returns how much work of each has begun since the last time.

        A client whose work waits is in it, with 0.
        """
        with self._lock:
            begun, self._begun = self._begun, {}
            self._quota = quota = inf if self._ended else quota
            self._turns.extend(self._paused)
            self.waiting = sum(map(len, self._queues.values()))
            owed = min(self._owed, self.waiting)  # spare threads may have done some of the work
            released = min(owed, int(quota) * len(self._queues)) if quota < inf else owed
            self._owed = owed - released
            self._paused.clear()
            wanted = [
                (client, min(len(queue), self._spare))
                for client, queue in self._queues.items()
                if client not in begun and self._below_share(client)
            ]
            for client in self._queues:
                begun.setdefault(client, 0)
        for _ in range(released):
            self._tokens.put(True)
        for client, number in wanted:
            for _ in range(number):
                if self._spare_tokens.qsize() < self._spare:
                    self._spare_tokens.put(client)
        return begun

    def _below_share(self, client: str) -> bool:
        clients = len(self._running) + (client not in self._running)
        return clients > 1 and self._running.get(client, 0) * clients < self._threads

    def end(self) -> None:
        """Ends the threads, after all work that waits. There are no quotas any more."""
        self._ended = True
        self.renew(inf)
        for _ in range(self._threads):
            self._tokens.put(False)
        for _ in range(self._spare):
            self._spare_tokens.put(None)
