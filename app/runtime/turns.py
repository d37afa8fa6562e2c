"""Work that waits for threads, of which each client has its turn."""

from collections import Counter, deque
from collections.abc import Iterator
from math import inf
from queue import SimpleQueue
from threading import Lock

from app.core.work import Work


class _Client:
    """One that has work, or of which work has begun since the last `renew`."""

    __slots__ = ("begun", "name", "queue")

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: deque[Work] = deque()
        self.begun = 0  # since the last `renew`


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
        self._spare_tokens: SimpleQueue[_Client | None] = SimpleQueue()  # whose work; None ends a thread
        self._clients: dict[str, _Client] = {}
        self._turns: deque[_Client] = deque()  # those with work and some quota
        self._paused: list[_Client] = []  # those with work that have used up their quota
        self._owed = 0  # tokens that have been taken for their work
        self._quota = inf
        self._ended = False
        self.waiting = 0  # pieces of work, at the last `renew`
        # The client of each thread that works, by the thread's number. A thread writes its own, unlocked.
        self._served: list[str | None] = [None] * (threads + spare)

    def put(self, client: str, work: Work) -> None:
        self._lock.acquire()  # as in `work_for`
        try:
            one = self._clients.get(client)
            if one is None:
                one = self._clients[client] = _Client(client)
            if not one.queue:
                self._turns.append(one)
            one.queue.append(work)
        finally:
            self._lock.release()
        self._tokens.put(True)

    def work_for(self, thread: int) -> Iterator[Work]:
        """Waits for work for the thread with this number, again and again, until it has to end.

        The spare threads have the last numbers.
        """
        if thread >= self._threads:
            yield from self._spare_work(thread)
            return
        token, lock, turns, served = self._tokens.get, self._lock, self._turns, self._served
        while token():
            lock.acquire()  # not `with`, which takes twice as long, twice for each call
            try:
                while turns:
                    one = turns.popleft()
                    if one.begun < self._quota:
                        work = one.queue.popleft()
                        if one.queue:
                            turns.append(one)
                        one.begun += 1
                        break
                    self._paused.append(one)
                else:
                    self._owed += 1
                    continue
            finally:
                lock.release()
            served[thread] = one.name
            yield work
            del work  # so that a waiting thread keeps nothing of its last call alive
            served[thread] = None

    def _spare_work(self, thread: int) -> Iterator[Work]:
        while (one := self._spare_tokens.get()) is not None:
            with self._lock:
                if not one.queue:
                    continue
                work = one.queue.popleft()
                if not one.queue:
                    (self._turns if one in self._turns else self._paused).remove(one)
                one.begun += 1
            self._served[thread] = one.name
            yield work
            del work  # as above
            self._served[thread] = None

    def queued(self) -> int:
        """How many pieces of work wait for a thread."""
        with self._lock:
            return sum(len(one.queue) for one in self._clients.values())

    def renew(self, quota: float) -> dict[str, int]:
        """Gives each client a new quota. Returns how much work of each has begun since the last time.

        A client whose work waits is in it, with 0.
        """
        with self._lock:
            waiting = [one for one in self._clients.values() if one.queue]
            begun = {one.name: one.begun for one in self._clients.values()}
            wanted = self._wanted(waiting)
            for one in self._clients.values():
                one.begun = 0
            self._clients = {one.name: one for one in waiting}
            self._quota = quota = inf if self._ended else quota
            self._turns.extend(self._paused)
            self._paused.clear()
            self.waiting = sum(len(one.queue) for one in waiting)
            owed = min(self._owed, self.waiting)  # spare threads may have done some of the work
            released = min(owed, int(quota) * len(waiting)) if quota < inf else owed
            self._owed = owed - released
        for _ in range(released):
            self._tokens.put(True)
        for one, number in wanted:
            for _ in range(number):
                if self._spare_tokens.qsize() < self._spare:
                    self._spare_tokens.put(one)
        return begun

    def _wanted(self, waiting: list[_Client]) -> list[tuple[_Client, int]]:
        """The clients that spare threads are for, and for how much of their work."""
        served = Counter(name for name in self._served if name is not None)

        def below_share(one: _Client) -> bool:
            clients = len(served) + (one.name not in served)
            return clients > 1 and served[one.name] * clients < self._threads

        return [
            (one, min(len(one.queue), self._spare)) for one in waiting if not one.begun and below_share(one)
        ]

    def end(self) -> None:
        """Ends the threads, after all work that waits. There are no quotas any more."""
        self._ended = True
        self.renew(inf)
        for _ in range(self._threads):
            self._tokens.put(False)
        for _ in range(self._spare):
            self._spare_tokens.put(None)
