"""The store of quotes."""

import random
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Protocol, TypeVar

from app.core.errors import ResourceExhausted
from app.services.quotes.quotes import Quote

# Added quotes are kept in memory.
MAX_ADDED = 10_000


Item = TypeVar("Item")


class QuoteStore(Protocol):
    """The interface of a store; implement its three methods to use a database.

    All of them may be called from several threads.
    """

    def pick(self, author: str) -> Quote:
        """Returns a random quote of the author, or of a random author if this one is unknown."""

    def all(self, author: str) -> Iterator[Quote]:
        """Returns the author's quotes, or all for "", in a stable order, as they are now."""

    def add(self, quotes: Sequence[Quote]) -> int:
        """Adds all quotes, or none and raises a StatusError. Returns how many were new."""


class MemoryStore:
    """The quotes that `given` returns, which may change, and the added ones in memory."""

    def __init__(self, given: Callable[[], tuple[Quote, ...]], max_added: int = MAX_ADDED) -> None:
        self._given = given
        self._max_added = max_added
        self._lock = Lock()
        self._added: tuple[Quote, ...] = ()
        self._index = _Index((), ())

    def pick(self, author: str) -> Quote:
        index = self._current()
        return _choice(index.by_author.get(author) or index.by_author[_choice(index.authors)])

    def all(self, author: str) -> Iterator[Quote]:
        index = self._current()
        return iter(index.by_author.get(author, ()) if author else (*index.given, *index.added))

    def add(self, quotes: Sequence[Quote]) -> int:
        with self._lock:
            known = {*self._given(), *self._added}
            new = tuple(quote for quote in dict.fromkeys(quotes) if quote not in known)
            if len(self._added) + len(new) > self._max_added:
                raise ResourceExhausted(f"too many added quotes (limit {self._max_added})")
            self._added += new
        return len(new)

    def _current(self) -> "_Index":
        """The index of the current quotes, rebuilt only when they have changed."""
        given, added, index = self._given(), self._added, self._index
        if index.given is not given or index.added is not added:
            self._index = index = _Index(given, added)
        return index


def _choice(items: Sequence[Item]) -> Item:
    return random.choice(items)  # noqa: S311 - not for a secret


class _Index:
    """Quotes by their author. Immutable, so that threads may share it."""

    def __init__(self, given: tuple[Quote, ...], added: tuple[Quote, ...]) -> None:
        self.given = given
        self.added = added
        self.by_author: dict[str, list[Quote]] = {}
        for quote in (*given, *added):
            self.by_author.setdefault(quote.author, []).append(quote)
        self.authors = list(self.by_author)
