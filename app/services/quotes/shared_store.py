"""The quotes of the database that all servers share, and what is served while it cannot be reached."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import grpc

from app.core.call import current_call
from app.core.errors import StatusError
from app.services.quotes.database_store import DatabaseStore
from app.services.quotes.file_store import FileStore
from app.services.quotes.known_quotes import KnownQuotes
from app.services.quotes.quotes import Quote

# Trailing metadata of an answer that is not from the database: whole seconds since this server last reached
# it, or since the server's start.
STALE = "stale-seconds"


class SharedStore:
    """Implements QuoteStore.

    While the database cannot be reached, reads are answered from the file and from what this server has read
    last, with `stale-seconds` in trailing metadata; `add` raises what the database raises: UNAVAILABLE.

    Until the file is merged, reads find its quotes beside those of the database, which may have some or none
    of them.
    """

    def __init__(
        self, stored: DatabaseStore, file: Callable[[], tuple[Quote, ...]], merged: Callable[[], bool]
    ) -> None:
        """`merged` says whether the database has all quotes of the file."""
        self._stored = stored
        self._merged = merged
        self._known = KnownQuotes(file)
        self._fallback = FileStore(self._known.quotes)
        self._reached_at = time.monotonic()

    def pick(self, author: str) -> Quote:
        try:
            quote = self._stored.pick(author)
        except StatusError as error:
            self._check_stale(error)
            return self._fallback.pick(author)
        self._reached_at = time.monotonic()
        if quote is None or (author not in {"", quote.author} and not self._merged()):
            return self._fallback.pick(author)
        self._known.saw(quote)
        return quote

    def all(self, author: str) -> Iterator[Quote]:
        """A listing that has begun ends with UNAVAILABLE if the database breaks.

        Until the file is merged, it ends with those quotes of the file that the database does not have.
        """
        # Before the database is read: what is merged meanwhile is in one of the two.
        unmerged = {} if self._merged() else dict.fromkeys(self._fallback.all(author))
        quotes = self._stored.all(author)
        try:
            first = next(quotes, None)
        except StatusError as error:
            self._check_stale(error)
            yield from self._fallback.all(author)
            return
        self._reached_at = time.monotonic()
        if first is not None:
            for quote in chain((first,), quotes):
                unmerged.pop(quote, None)
                yield quote
        yield from unmerged

    def add(self, quotes: Sequence[Quote]) -> int:
        return self._stored.add(quotes)

    def _check_stale(self, error: StatusError) -> None:
        """Marks the answer as stale. Raises the error where it says something else of the database."""
        if error.code is not grpc.StatusCode.UNAVAILABLE:
            raise error
        seconds = int(time.monotonic() - self._reached_at)
        current_call().set_trailing_metadata(((STALE, str(seconds)),))
