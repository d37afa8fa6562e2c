"""The maximum number of concurrent calls."""

from collections.abc import Callable
from threading import Lock

from app.core.call import Call
from app.core.errors import ResourceExhausted
from app.core.method import Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern

# Milliseconds until a client's retry policy tries again (gRPC proposal A6).
_PUSHBACK = "100"


class ConcurrencyLimit(Concern):
    """Admits at most `most` calls at once, and refuses others with RESOURCE_EXHAUSTED.

    A call counts from when its first message has arrived, before it waits for a worker, until it is over.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._lock = Lock()
        self._admitted = 0

    def admit(self, call: Call) -> None:
        with self._lock:
            if self._admitted < self._most:
                self._admitted += 1
                call.admitted = True
                return
        call.refusal = Refusal.LIMIT
        raise ResourceExhausted(
            f"too many concurrent {self._what} (limit {self._most}); retry later",
            metadata=(("grpc-retry-pushback-ms", _PUSHBACK),),
        )

    def start(self, call: Call) -> None:
        if not call.admitted:  # third-party interceptors can lose the pool that admits calls
            self.admit(call)

    def end(self, call: Call) -> None:
        if call.admitted:
            with self._lock:
                self._admitted -= 1


class Limit(Concern):
    """Applies to each method the limit that `limit_of` returns for it, if any; methods may share one."""

    def __init__(self, limit_of: Callable[[Method], ConcurrencyLimit | None]) -> None:
        self._limit_of = limit_of

    def for_method(self, method: Method) -> Concern | None:
        return self._limit_of(method)
