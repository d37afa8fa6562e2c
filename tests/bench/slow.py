"""This program with a store that takes its time, and that counts the calls in it."""

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from app import server, wiring
from app.core.call import Call
from app.interceptors.concern import Concern
from app.runtime.signals import Signals
from app.services.quotes import QUOTER
from app.services.quotes.quoter import Quoter
from app.services.quotes.quotes import Quote
from app.services.quotes.quotes_settings import QuotesSettings
from app.settings import load

# The seconds that each call takes.
TAKES = "STORE_TAKES"
# The author whose quote is what has been counted, as JSON.
COUNTS = "counts"


class Count:
    """How many there are now, how many there have been at most, and how many in all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = self.total = 0

    def enter(self) -> None:
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def leave(self) -> None:
        with self._lock:
            self.now -= 1


class Admitted(Concern):
    """Counts what every gate on acceptance has let through: it stands after them."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def accept(self, call: Call) -> None:
        del call
        self._count.enter()

    def end(self, call: Call) -> None:
        del call
        self._count.leave()


class SlowStore:
    def __init__(self, seconds: float, running: Count, admitted: Count) -> None:
        self._seconds = seconds
        self._running = running
        self._admitted = admitted

    def pick(self, author: str) -> Quote:
        if author == COUNTS:
            counts = {"admitted": self._admitted, "running": self._running}
            text = {name: {"most": one.most, "total": one.total} for name, one in counts.items()}
            return Quote(json.dumps(text), author)
        self._running.enter()
        try:
            if self._seconds:
                time.sleep(self._seconds)
            return Quote("Better three hours too soon than a minute too late.", author)
        finally:
            self._running.leave()

    def all(self, author: str) -> Iterator[Quote]:
        return iter([self.pick(author)])

    def add(self, quotes: Sequence[Quote]) -> int:
        return len(quotes)


def slow() -> None:
    """Serves as `app serve` does."""
    running, admitted = Count(), Count()

    @contextmanager
    def opened(_settings: QuotesSettings) -> Iterator[Quoter]:
        yield Quoter(SlowStore(float(os.environ[TAKES]), running, admitted))

    chain = wiring.concerns
    wiring.concerns = lambda *parts: [*chain(*parts), Admitted(admitted)]
    server.run(load(), Signals(), [replace(QUOTER, open=opened)])
