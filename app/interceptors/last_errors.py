"""The last calls that ended with an error, for the status page."""

import time
from collections import deque
from heapq import nlargest
from operator import itemgetter
from threading import Lock
from typing import Any
from urllib.parse import unquote

from app.core.call import Call, trace_id
from app.core.method import Method
from app.interceptors.concern import Concern

# Of each method and status code, so that one that fails often does not push the others out.
_KEPT = 5
# What is kept of a text that a caller or a handler has chosen, in characters.
_LONGEST = 300


class LastErrors(Concern):
    """Keeps the last five of each method and status code. A call that ends with OK costs nothing.

    Any thread may read them.
    """

    def __init__(self, quiet: frozenset[str] = frozenset()) -> None:
        """`quiet` are full names of services whose calls are left out, such as health checks."""
        self._quiet = quiet
        self._methods: list[_MethodErrors] = []

    def for_method(self, method: Method) -> Concern | None:
        if method.service in self._quiet:
            return None
        self._methods.append(_MethodErrors(method))
        return self._methods[-1]

    def newest(self, most: int) -> list[dict[str, Any]]:
        """At most that many, the newest first. `time` is Unix time, `duration` in seconds."""
        found = (error for method in self._methods for error in method.kept())
        return nlargest(most, found, key=itemgetter("time"))


class _MethodErrors(Concern):
    def __init__(self, method: Method) -> None:
        self._service = method.service
        self._method = method.name
        self._lock = Lock()
        self._by_code: dict[str, deque[tuple[Any, ...]]] = {}

    def end_with_error(self, call: Call) -> None:
        values = (
            time.time(),
            call.code_label,
            call.message[:_LONGEST],
            call.refusal,
            call.duration,
            call.peer(),
            call.principal[:_LONGEST],
            call.request_id,
            call.trace,
        )
        with self._lock:
            kept = self._by_code.get(call.code_label)
            if kept is None:
                kept = self._by_code[call.code_label] = deque(maxlen=_KEPT)
            kept.append(values)

    def kept(self) -> list[dict[str, Any]]:
        with self._lock:
            values = [one for kept in self._by_code.values() for one in kept]
        return [self._error(*one) for one in values]

    def _error(self, *values: Any) -> dict[str, Any]:
        at, code, message, refusal, duration, peer, principal, request_id, trace = values
        return {
            "time": at,
            "service": self._service,
            "method": self._method,
            "code": code,
            "message": message,
            "refusal": refusal,
            "duration": duration,
            "peer": unquote(peer),
            "principal": principal,
            "request_id": request_id,
            "trace_id": trace_id(trace),
        }
