"""The maximum number of concurrent calls, and each client's share of it."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from app.core.call import Call
from app.core.errors import ResourceExhausted
from app.core.method import Method
from app.core.queue import Queue
from app.core.refusal import Refusal
from app.interceptors.concern import Concern

# Milliseconds until a client's retry policy tries again (gRPC proposal A6).
_PUSHBACK = "100"

# As many unsent replies as a small limit allows. grpc reports a reply as sent shortly after its client has
# it, and the next call of that client may come before.
_FEW = 64


class _Places:
    """How many calls have one: while they run, and then until their reply has been sent."""

    def __init__(self) -> None:
        self.running = 0
        self.unsent = 0

    def free(self, most: float, most_unsent: float) -> bool:
        return self.running < most and self.unsent < most_unsent


class ConcurrencyLimit(Concern):
    """Admits at most `most` calls at once, and refuses others with RESOURCE_EXHAUSTED.

    A call counts from when its first message has arrived, before it waits for a worker, until it is over. As
    many again may be over without their reply having been sent, because their clients do not read.

    One client may have all places. Once they are taken, more are for clients that have less than their share:
    the places, divided by the clients that have any. A client with its share is refused then. `reserve` is
    their number, as a part of the places.

    A `queue` may lower the number of places while calls wait for workers.
    """

    def __init__(self, most: int, what: str, reserve: float = 0, queue: Queue | None = None) -> None:
        self.most = most
        self._queue = queue
        self._roomy = most if queue is None else min(most, queue.roomy)  # so many have a place in any case
        self._most_unsent = max(most, _FEW)
        self._reserve = reserve
        self.what = what
        self._lock = Lock()
        self._ordinary, self._reserved = _Places(), _Places()
        self._held: dict[str, int] = {}  # places by client, those of unsent replies included; none is 0

    @property
    def running(self) -> int:
        """How many calls are admitted and not over: at work, or waiting for a worker."""
        return self._ordinary.running + self._reserved.running

    def admit(self, call: Call) -> None:
        share, places = call.share, self._ordinary
        self._lock.acquire()  # not `with`, which takes twice as long, in three hooks of each call
        try:
            if places.running >= self._roomy or places.unsent >= self._most_unsent or self._reserved.running:
                places = self._scarce(call)
            places.running += 1
            self._held[share] = self._held.get(share, 0) + 1
        finally:
            self._lock.release()
        call.places = places

    def _scarce(self, call: Call) -> _Places:
        """The places of which the call gets one, where there are few. Raises ResourceExhausted."""
        most = self.most if self._queue is None else self._queue.places(self.running)
        if self._ordinary.free(most, self._most_unsent):
            return self._ordinary
        return self._of_reserve(call, most)

    def _of_reserve(self, call: Call, most: int) -> _Places:
        """The places of the reserve, if the call may have one. Raises ResourceExhausted otherwise."""
        held = self._held.get(call.share, 0)
        clients = len(self._held) + (not held)
        below_share = held * clients < most
        if below_share and self._reserved.free(most * self._reserve, self._most_unsent * self._reserve):
            return self._reserved
        if clients > 1 and not below_share:
            call.refusal = Refusal.SHARE
            message = f"too many concurrent {self.what} of this client (share {most // clients})"
        else:
            call.refusal = Refusal.LIMIT
            message = f"too many concurrent {self.what} (limit {most})"
        pushback = (("grpc-retry-pushback-ms", _PUSHBACK),)
        raise ResourceExhausted(f"{message}; retry later", metadata=pushback)

    def start(self, call: Call) -> None:
        if call.places is None:  # third-party interceptors can lose the pool that admits calls
            self.admit(call)
        call.started_at = monotonic()

    def end(self, call: Call) -> None:
        places = call.places
        if places is None:
            return
        self._lock.acquire()
        try:
            places.running -= 1
            places.unsent += 1
            if self._queue is not None and call.started_at:
                now = call.accepted_at + call.duration
                self._queue.ended(now, now - call.started_at)
        finally:
            self._lock.release()

    def close(self, call: Call) -> None:
        if call.places is None:
            return
        share = call.share
        self._lock.acquire()
        try:
            call.places.unsent -= 1
            held = self._held[share] - 1
            if held:
                self._held[share] = held
            else:
                del self._held[share]
        finally:
            self._lock.release()


class Limit(Concern):
    """Applies to each method the limit that `limit_of` returns for it, if any; methods may share one."""

    def __init__(self, limit_of: Callable[[Method], ConcurrencyLimit | None]) -> None:
        self._limit_of = limit_of

    def for_method(self, method: Method) -> Concern | None:
        return self._limit_of(method)
