"""Calls at a steady rate, independent of when they end (an open loop)."""

import time
from functools import partial
from threading import Event, Thread
from typing import Any

from app.tools.load.calls import Start, backend_of
from app.tools.load.figures import UNKNOWN, Figures, Tally

# How late a call may be made, in seconds. Calls later than that would only measure this client.
LATEST = 1.0


class Drive:
    """Makes `rps` calls per second for that many seconds, each when it is due, and collects the figures.

    A call is not made, but counted, if `most` are in flight when it is due, or if this process cannot make it
    within LATEST. Can be used once.
    """

    def __init__(self, start: Start, *, rps: float, seconds: float, most: int) -> None:
        self.rps = rps
        self.seconds = seconds
        self._start_call = start
        self._most = most
        self._tally = Tally()
        self._stop = Event()
        self._sent_all = Event()
        self._began = self._until = self._cpu = self._cpu_before = 0.0
        self._sender = Thread(target=self._send, name="send", daemon=True)

    def start(self) -> None:
        self._cpu_before = time.process_time()
        self._began = time.perf_counter()
        self._until = self._began + self.seconds
        self._sender.start()

    def wait(self, seconds: float) -> bool:
        """Waits at most that long, and returns whether all calls were made and are over."""
        end = time.perf_counter() + seconds
        return self._sent_all.wait(seconds) and self._tally.wait_until_all_ended(end - time.perf_counter())

    def stop(self) -> None:
        """Makes no further calls; those in flight continue."""
        self._stop.set()
        self._sender.join()

    def figures(self) -> Figures:
        now = time.perf_counter()
        if now < self._until:
            self._cpu = time.process_time() - self._cpu_before
        return self._tally.figures(max(0.0, min(now, self._until) - self._began), self._cpu)

    def _send(self) -> None:
        try:
            self._send_all()
        finally:
            self._cpu = time.process_time() - self._cpu_before
            self._until = min(self._until, time.perf_counter())
            self._sent_all.set()

    def _send_all(self) -> None:
        tally, number = self._tally, 0
        while (due := self._began + number / self.rps) < self._until:
            number += 1
            if (early := due - time.perf_counter()) > 0:
                self._stop.wait(early)
            if self._stop.is_set():
                return
            lateness = time.perf_counter() - due
            if lateness > LATEST:
                tally.too_late()
            elif tally.in_flight >= self._most:
                tally.over_limit()
            else:
                tally.sent(lateness)
                self._start_call(partial(self._over, due))
        self._stop.wait(self._until - time.perf_counter())

    def _over(self, due: float, call: Any) -> None:
        latency = time.perf_counter() - due
        self._tally.ended(call.code(), call.details() or "", latency, backend_of(call) or UNKNOWN)
