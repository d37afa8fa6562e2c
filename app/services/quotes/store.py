"""What the servicer needs of a store of quotes."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from app.services.quotes.quotes import Quote


class QuoteStore(Protocol):
    """All of its methods may be called from several threads, and raise a StatusError for the client."""

    def pick(self, author: str) -> Quote:
        """Returns a random quote of the author, or of a random author if this one is unknown."""

    def all(self, author: str) -> Iterator[Quote]:
        """Returns the author's quotes, or all for "", in a stable order, as they are now."""

    def add(self, quotes: Sequence[Quote]) -> int:
        """Adds all quotes, or none and raises. Returns how many were new.

        Once it returns, they are kept, whatever happens to this process.
        """
