"""The maximum number of concurrent calls, and each client's share of it."""

import time
from collections.abc import Callable
from threading import Lock

from app.core.call import Call
from app.core.errors import ResourceExhausted
from app.core.method import Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern
from app.interceptors.queue import Queue

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
        self._most = most
        self._queue = queue
        self._most_unsent = max(most, _FEW)
        self._reserve = reserve
        self._what = what
        self._lock = Lock()
        self._ordinary, self._reserved = _Places(), _Places()
        self._held: dict[str, int] = {}  # places by client, those of unsent replies included; none is 0

    def admit(self, call: Call) -> None:
        share = call.share
        with self._lock:
            held = self._held.get(share, 0)
            clients = len(self._held) + (not held)
            running = self._ordinary.running + self._reserved.running
            most = self._most if self._queue is None else self._queue.places(running)
            below_share = held * clients < most
            if self._ordinary.free(most, self._most_unsent):
                call.places = self._ordinary
            elif below_share and self._reserved.free(most * self._reserve, self._most_unsent * self._reserve):
                call.places = self._reserved
            if call.places is not None:
                call.places.running += 1
                self._held[share] = held + 1
                return
        if clients > 1 and not below_share:
            call.refusal = Refusal.SHARE
            message = f"too many concurrent {self._what} of this client (share {most // clients})"
        else:
            call.refusal = Refusal.LIMIT
            message = f"too many concurrent {self._what} (limit {most})"
        pushback = (("grpc-retry-pushback-ms", _PUSHBACK),)
        raise ResourceExhausted(f"{message}; retry later", metadata=pushback)

    def start(self, call: Call) -> None:
        if call.places is None:  # third-party interceptors can lose the pool that admits calls
            self.admit(call)
        call.started_at = time.monotonic()

    def end(self, call: Call) -> None:
        if call.places is not None:
            with self._lock:
                call.places.running -= 1
                call.places.unsent += 1
                if self._queue is not None and call.started_at:
                    now = call.accepted_at + call.duration
                    self._queue.ended(now, now - call.started_at)

    def close(self, call: Call) -> None:
        if call.places is not None:
            with self._lock:
                call.places.unsent -= 1
                held = self._held[call.share] - 1
                if held:
                    self._held[call.share] = held
                else:
                    del self._held[call.share]


class Limit(Concern):
    """Applies to each method the limit that `limit_of` returns for it, if any; methods may share one."""

    def __init__(self, limit_of: Callable[[Method], ConcurrencyLimit | None]) -> None:
        self._limit_of = limit_of

    def for_method(self, method: Method) -> Concern | None:
        return self._limit_of(method)
