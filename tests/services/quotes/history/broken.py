"""Servers of stores that break a promise: `python -m tests.services.quotes.history.broken NAME serve`.

The check must find each of them.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from app.core.database import Connection, Database, Dialect
from app.services.quotes import database_store
from app.services.quotes.database_store import DatabaseStore
from app.services.quotes.quotes import Quote

# Seconds.
_LATE = 0.05
_OLD = 1.0


class AcknowledgesBeforeItCommits(DatabaseStore):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._background = ThreadPoolExecutor(4)

    def add(self, quotes: Sequence[Quote]) -> int:
        self._background.submit(self._add_late, quotes)
        return len(quotes)

    def _add_late(self, quotes: Sequence[Quote]) -> None:
        time.sleep(_LATE)
        super().add(quotes)


class CommitsEachQuoteByItself(DatabaseStore):
    def add(self, quotes: Sequence[Quote]) -> int:
        return sum(super(CommitsEachQuoteByItself, self).add([quote]) for quote in quotes)


class ListsWhatWasThereASecondAgo(DatabaseStore):
    """As a standby does that lags behind."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[str, tuple[float, list[Quote]]] = {}

    def all(self, author: str) -> Iterator[Quote]:
        at, quotes = self._kept.get(author, (0.0, []))
        if time.monotonic() - at > _OLD:
            quotes = list(super().all(author))
            self._kept[author] = time.monotonic(), quotes
        return iter(quotes)


class _Lazy:
    """A database that acknowledges a commit before its log is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect: Dialect = database.dialect
        self.reading = database.reading

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            connection.execute("SET LOCAL synchronous_commit = off")
            yield connection


class AcknowledgesBeforeItsLogIsWritten(DatabaseStore):
    """PostgreSQL writes it up to three `wal_writer_delay` later."""

    def __init__(self, database: Database) -> None:
        super().__init__(_Lazy(database))


BROKEN: dict[str, type[DatabaseStore]] = {
    each.__name__: each
    for each in (
        AcknowledgesBeforeItCommits,
        AcknowledgesBeforeItsLogIsWritten,
        CommitsEachQuoteByItself,
        ListsWhatWasThereASecondAgo,
    )
}

if __name__ == "__main__":
    from app.__main__ import main

    database_store.DatabaseStore = BROKEN[sys.argv.pop(1)]  # type: ignore[misc] # the service opens this one
    main()
