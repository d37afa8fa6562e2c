"""A client that does nothing wrong, and what it sees."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

TIMEOUT = 2.0  # seconds that each call may take


@dataclass
class Seen:
    """What became of the calls of one method in one phase."""

    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return sum(self.codes.values())

    @property
    def ok(self) -> float:
        """The share that was answered."""
        return self.codes["OK"] / self.calls if self.calls else 0.0

    @property
    def p99(self) -> float:
        """In milliseconds, of all calls, those that failed too."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000 if ordered else 0.0

    def __str__(self) -> str:
        return f"{self.ok:.2%} of {self.calls}, p99 {self.p99:.0f} ms"


class Honest:
    """Calls each method at a steady rate, whether or not the calls before are answered."""

    def __init__(self, target: str, methods: dict[str, bytes], rate: float = 50) -> None:
        """`methods` are paths with their request, as it is on the wire."""
        self._target = target
        self._methods = methods
        self._pause = 1 / rate / len(methods)
        self._seen: dict[str, Seen] = {}
        self._stop = threading.Event()

    def begin(self) -> None:
        """Begins a phase."""
        self._seen = {path: Seen() for path in self._methods}

    def phase(self, seconds: float) -> dict[str, Seen]:
        """What calls see since the phase was begun, or the last one ended, and in so many seconds more."""
        seen = self._seen
        time.sleep(seconds)
        self.begin()
        time.sleep(TIMEOUT + 0.5)  # for those that are on their way
        self.begin()
        return seen

    @contextmanager
    def calling(self) -> Iterator["Honest"]:
        self.begin()
        with grpc.insecure_channel(
            self._target, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        ) as channel:
            calls: dict[str, Any] = {path: channel.unary_unary(path) for path in self._methods}
            thread = threading.Thread(target=self._run, args=(calls,))
            thread.start()
            try:
                yield self
            finally:
                self._stop.set()
                thread.join()

    def _run(self, calls: dict[str, Callable[..., Any]]) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            for path, call in calls.items():
                due += self._pause
                time.sleep(max(0.0, due - time.monotonic()))
                self._call(path, call)

    def _call(self, path: str, call: Any) -> None:
        seen, began = self._seen[path], time.monotonic()

        def done(future: Any) -> None:
            seen.seconds.append(time.monotonic() - began)
            seen.codes[future.code().name] += 1

        call.future(self._methods[path], timeout=TIMEOUT).add_done_callback(done)
