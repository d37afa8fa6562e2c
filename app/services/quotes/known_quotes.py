"""What a server knows without its database: the quotes of the file, and those that it has read last."""

from collections.abc import Callable
from threading import Lock

from app.services.quotes.quotes import Quote

# Quotes that were read last; at most nine MB, for the longest quotes.
MOST = 1000


class KnownQuotes:
    """Safe from any thread."""

    def __init__(self, file: Callable[[], tuple[Quote, ...]], most: int = MOST) -> None:
        self._file = file
        self._most = most
        self._lock = Lock()
        self._seen: dict[Quote, None] = {}
        self._of: tuple[Quote, ...] | None = None
        self._all: tuple[Quote, ...] = ()

    def saw(self, quote: Quote) -> None:
        """Keeps the quote; the oldest goes if there are too many."""
        with self._lock:
            if quote not in self._seen:
                self._seen[quote] = None
                self._of = None
                if len(self._seen) > self._most:
                    del self._seen[next(iter(self._seen))]

    def quotes(self) -> tuple[Quote, ...]:
        """Those of the file first, each once. The same object as before while nothing has changed."""
        file = self._file()
        with self._lock:
            if self._of is not file:
                self._of, self._all = file, tuple(dict.fromkeys((*file, *self._seen)))
            return self._all
