"""Where quotes come from, and where added ones go."""

import random
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Protocol

from app.core.errors import ResourceExhausted
from app.services.quotes.quotes import Quote

# Added quotes live in memory; past this many, somebody else's are in danger.
MOST_ADDED = 10_000


class QuoteStore(Protocol):
    """What the service needs of a store. A database takes over by having these three methods.

    All of them may be called from several threads.
    """

    def pick(self, author: str) -> Quote:
        """A random quote of the author; of a random author where there is none of this one."""

    def all(self, author: str) -> Iterator[Quote]:
        """The author's quotes in a stable order, every author's for ""; as they were when it was called."""

    def add(self, quotes: Sequence[Quote]) -> int:
        """Adds all quotes or, raising a StatusError, none. Returns how many were new."""


class MemoryStore:
    """The quotes that `given` returns, which may change from call to call, and the added ones in memory."""

    def __init__(self, given: Callable[[], tuple[Quote, ...]], most_added: int = MOST_ADDED) -> None:
        self._given = given
        self._most_added = most_added
        self._lock = Lock()
        self._added: tuple[Quote, ...] = ()
        self._index = _Index((), ())

    def pick(self, author: str) -> Quote:
        index = self._current()
        quotes = index.by_author.get(author) or index.by_author[random.choice(index.authors)]  # noqa: S311 - no secret
        return random.choice(quotes)  # noqa: S311 - no secret

    def all(self, author: str) -> Iterator[Quote]:
        index = self._current()
        return iter(index.by_author.get(author, ()) if author else (*index.given, *index.added))

    def add(self, quotes: Sequence[Quote]) -> int:
        with self._lock:
            known = {*self._given(), *self._added}
            new = tuple(quote for quote in dict.fromkeys(quotes) if quote not in known)
            if len(self._added) + len(new) > self._most_added:
                raise ResourceExhausted(f"the store keeps at most {self._most_added} added quotes")
            self._added += new
        return len(new)

    def _current(self) -> "_Index":
        """The index of the quotes as they are now, made anew only when they have changed."""
        given, added, index = self._given(), self._added, self._index
        if index.given is not given or index.added is not added:
            self._index = index = _Index(given, added)
        return index


class _Index:
    """Quotes by their author; never changed once it is made, so that threads may share it."""

    def __init__(self, given: tuple[Quote, ...], added: tuple[Quote, ...]) -> None:
        self.given = given
        self.added = added
        self.by_author: dict[str, list[Quote]] = {}
        for quote in (*given, *added):
            self.by_author.setdefault(quote.author, []).append(quote)
        self.authors = list(self.by_author)
