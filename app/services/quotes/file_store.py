"""The quotes of the file, which are served without a database, or while it cannot be reached."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from app.database.no_database import no_database
from app.services.quotes.quotes import Quote

Item = TypeVar("Item")


class FileStore:
    """Serves the quotes that `given` returns, which may change, and keeps none."""

    def __init__(self, given: Callable[[], tuple[Quote, ...]]) -> None:
        self._given = given
        self._index = _Index(())

    def pick(self, author: str) -> Quote:
        index = self._current()
        return _choice(index.by_author.get(author) or index.by_author[_choice(index.authors)])

    def all(self, author: str) -> Iterator[Quote]:
        index = self._current()
        return iter(index.by_author.get(author, ()) if author else index.quotes)

    def add(self, quotes: Sequence[Quote]) -> int:
        """Raises FailedPrecondition."""
        raise no_database()

    def _current(self) -> "_Index":
        """The index of the current quotes, rebuilt only when they have changed."""
        quotes, index = self._given(), self._index
        if index.quotes is not quotes:
            self._index = index = _Index(quotes)
        return index


def _choice(items: Sequence[Item]) -> Item:
    return random.choice(items)  # noqa: S311 - not for a secret


class _Index:
    """Quotes by their author. Immutable, so that threads may share it."""

    def __init__(self, quotes: tuple[Quote, ...]) -> None:
        self.quotes = quotes
        self.by_author: dict[str, list[Quote]] = {}
        for quote in quotes:
            self.by_author.setdefault(quote.author, []).append(quote)
        self.authors = list(self.by_author)
