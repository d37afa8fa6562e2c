"""How many calls are accepted at once."""

from collections.abc import Callable
from threading import Lock

from app.core.call import Call
from app.core.errors import ResourceExhausted
from app.core.method import Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern

# How long a client's retry policy is asked to wait, in milliseconds (gRPC proposal A6).
_PUSHBACK = "100"


class ConcurrencyLimit(Concern):
    """Admits at most `most` calls at once, and refuses the rest with RESOURCE_EXHAUSTED.

    A call counts from its acceptance, before it waits for a worker, until it is over.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._lock = Lock()
        self._admitted = 0

    def accept(self, call: Call) -> None:
        with self._lock:
            if self._admitted < self._most:
                self._admitted += 1
                return
        call.refused = Refusal.LIMIT
        raise ResourceExhausted(
            f"the server has as many {self._what} as it takes ({self._most}); try again later",
            metadata=(("grpc-retry-pushback-ms", _PUSHBACK),),
        )

    def end(self, call: Call) -> None:
        del call
        with self._lock:
            self._admitted -= 1


class Limit(Concern):
    """Applies to each method the bound that `limit_of` names for it, and none where that is None."""

    def __init__(self, limit_of: Callable[[Method], ConcurrencyLimit | None]) -> None:
        self._bound_of = limit_of

    def for_method(self, method: Method) -> Concern | None:
        return self._bound_of(method)
