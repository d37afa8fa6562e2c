"""A client that does nothing wrong, and what it sees."""

import heapq
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tests.attack.subject import Victim

TIMEOUT = 2.0  # seconds that each call may take

UNARY, CLIENT_STREAM, BIDI_STREAM = (
    f"/probe.Probe/{method}" for method in ("Unary", "ClientStream", "BidiStream")
)
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
READY = "/readyz"

# Calls a second.
RATES = {UNARY: 50.0, CHECK: 10.0, CLIENT_STREAM: 2.0, READY: 5.0}


@dataclass
class Seen:
    """What became of the calls of one method in one phase."""

    begun: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def ok(self) -> float:
        """The share that was answered."""
        return self.codes["OK"] / self.begun if self.begun else 0.0

    def percentile(self, share: float) -> float:
        """In milliseconds, of all calls, those that failed too."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0

    @property
    def p99(self) -> float:
        return self.percentile(0.99)

    def __str__(self) -> str:
        return f"{self.ok:.2%} of {self.begun}, p99 {self.p99:.0f} ms"


# By path.
Phase = dict[str, Seen]


class Honest:
    """Calls each method at a steady rate, whether or not the calls before are answered."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._rates = {path: rate for path, rate in RATES.items() if path != READY or victim.metrics}
        self._seen: Phase = {}
        self._stop = threading.Event()
        self.begin()

    def begin(self) -> Phase:
        """Begins a phase: what becomes of the calls that begin from now on."""
        self._seen = {path: Seen() for path in self._rates}
        return self._seen

    def end(self) -> Phase:
        """Ends the phase, and waits for its calls."""
        seen = self._seen
        self.begin()
        until = time.monotonic() + TIMEOUT + 1
        while any(len(one.seconds) < one.begun for one in seen.values()) and time.monotonic() < until:
            time.sleep(0.01)
        return seen

    @contextmanager
    def calling(self) -> Iterator["Honest"]:
        with self._victim.channel() as channel:
            calls = {path: channel.unary_unary(path).future for path in (UNARY, CHECK)}
            stream = channel.stream_unary(CLIENT_STREAM).future
            calls[CLIENT_STREAM] = lambda _request, **how: stream(iter([b""]), **how)
            threads = [threading.Thread(target=self._run, args=(calls,))]
            if self._victim.metrics:
                threads.append(threading.Thread(target=self._ask, args=(self._victim.metrics,)))
            for thread in threads:
                thread.start()
            try:
                yield self
            finally:
                self._stop.set()
                for thread in threads:
                    thread.join()

    def _run(self, calls: dict[str, Callable[..., Any]]) -> None:
        due = [(time.monotonic(), path) for path in calls]
        while not self._stop.is_set():
            at, path = heapq.heappop(due)
            time.sleep(max(0.0, at - time.monotonic()))
            self._call(path, calls[path])
            heapq.heappush(due, (at + 1 / self._rates[path], path))

    def _call(self, path: str, call: Callable[..., Any]) -> None:
        seen, began = self._seen[path], time.monotonic()
        seen.begun += 1

        def done(future: Any) -> None:
            seen.codes[future.code().name] += 1
            seen.seconds.append(time.monotonic() - began)

        call(b"", timeout=TIMEOUT, metadata=self._victim.metadata("honest")).add_done_callback(done)

    def _ask(self, metrics: str) -> None:
        """Asks whether the server is ready, as Kubernetes would."""
        while not self._stop.wait(1 / RATES[READY]):
            seen, began = self._seen[READY], time.monotonic()
            seen.begun += 1
            seen.codes[answer(metrics, READY)] += 1
            seen.seconds.append(time.monotonic() - began)


def answer(metrics: str, path: str) -> str:
    """`OK`, or what is wrong with the answer."""
    connection = http.client.HTTPConnection(metrics, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return "OK" if status == http.HTTPStatus.OK else str(status)


def watched(victim: Victim) -> str:
    """What a client that watches the server's health sees: its code."""
    with victim.channel() as channel:
        watch = channel.unary_stream(WATCH)(b"", timeout=5)
        try:
            next(watch)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"
