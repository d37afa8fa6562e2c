"""The quotes of the database.

Reads take a time that does not grow with the number of quotes: authors have the ids 0, 1, 2, … without gaps,
and so have the quotes of an author their numbers, so a random number is looked up in an index.

One transaction at a time adds quotes. It gives each the next number, so a transaction that is rolled back
leaves no gap, and a quote with a higher id was committed later: what a listing may see is everything up to
the highest id when it began.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from app.core.database import Connection, Database, Row
from app.services.quotes.quotes import Quote

# Rows that a listing reads in one transaction, and keeps until its client has read them.
PAGE = 100
# What this service's writers hold in PostgreSQL until their commit. SQLite has one writer by itself.
_WRITER = int.from_bytes(b"quotes", "big")

_OF_THE_AUTHOR = """
    SELECT quotes.text, authors.name
    FROM authors JOIN quotes ON quotes.author = authors.id
    WHERE authors.name = %(author)s AND quotes.number =
        %(quote)s %% (SELECT max(own.number) + 1 FROM quotes AS own WHERE own.author = authors.id)
"""
_OF_ANY_AUTHOR = """
    SELECT quotes.text, authors.name
    FROM authors JOIN quotes ON quotes.author = authors.id
    WHERE authors.id = %(any)s %% (SELECT max(id) + 1 FROM authors) AND quotes.number =
        %(quote)s %% (SELECT max(own.number) + 1 FROM quotes AS own WHERE own.author = authors.id)
"""
_LAST = "SELECT coalesce(max(id), -1) FROM quotes"
# The limits are in the text, where the database's planner sees that they are low.
_PAGE = f"""
    SELECT quotes.id, quotes.text, authors.name
    FROM quotes JOIN authors ON authors.id = quotes.author
    WHERE quotes.id > %(after)s AND quotes.id <= %(last)s
    ORDER BY quotes.id LIMIT {PAGE}
"""  # noqa: S608 - a number of ours
_AUTHOR = """
    SELECT id, (SELECT max(number) FROM quotes WHERE quotes.author = authors.id)
    FROM authors WHERE name = %(author)s
"""
_PAGE_OF_THE_AUTHOR = f"""
    SELECT number, text FROM quotes
    WHERE author = %(author)s AND number > %(after)s AND number <= %(last)s
    ORDER BY number LIMIT {PAGE}
"""  # noqa: S608 - a number of ours
_ADD_AUTHOR = """
    INSERT INTO authors (id, name)
    VALUES ((SELECT coalesce(max(id) + 1, 0) FROM authors), %(author)s)
    ON CONFLICT (name) DO NOTHING
"""
_ADD_QUOTE = """
    INSERT INTO quotes (id, author, number, text, digest)
    SELECT
        (SELECT coalesce(max(id) + 1, 0) FROM quotes),
        authors.id,
        (SELECT coalesce(max(own.number) + 1, 0) FROM quotes AS own WHERE own.author = authors.id),
        %(text)s,
        %(digest)s
    FROM authors WHERE authors.name = %(author)s
    ON CONFLICT (author, digest) DO NOTHING
"""

# Both databases name the columns of VALUES like this.
_KNOWN = """
    SELECT given.column1, given.column2
    FROM (VALUES {rows}) AS given
    JOIN authors ON authors.name = given.column1
    JOIN quotes ON quotes.author = authors.id AND quotes.digest = given.column2
"""


class DatabaseStore:
    """Implements QuoteStore, but that `pick` returns None where the database has no quote at all."""

    def __init__(self, database: Database, randomness: random.Random | None = None) -> None:
        self._database = database
        self._random = randomness or random.Random()  # noqa: S311 - not for a secret

    def pick(self, author: str) -> Quote | None:
        # So far beyond the number of rows that the remainders are uniform.
        draw = {"any": self._random.getrandbits(62), "quote": self._random.getrandbits(62)}
        with self._database.reading() as connection:
            rows = connection.execute(_OF_THE_AUTHOR, draw | {"author": author}) if author else []
            rows = rows or connection.execute(_OF_ANY_AUTHOR, draw)
        return Quote(*rows[0]) if rows else None

    def all(self, author: str) -> Iterator[Quote]:
        """Reads a page at a time, in a transaction each: a slow client keeps no connection."""
        if author:
            found = self._read(_AUTHOR, author=author)
            for author_id, last in found:  # one, or none
                for _, text in self._pages(_PAGE_OF_THE_AUTHOR, last, author=author_id):
                    yield Quote(text, author)
        else:
            [(last,)] = self._read(_LAST)
            for _, text, name in self._pages(_PAGE, last):
                yield Quote(text, name)

    def _pages(self, sql: str, last: int, **parameters: object) -> Iterator[Row]:
        after = -1
        while after < last and (page := self._read(sql, after=after, last=last, **parameters)):
            yield from page
            after = page[-1][0]

    def _read(self, sql: str, **parameters: object) -> list[Row]:
        with self._database.reading() as connection:
            return connection.execute(sql, parameters)

    def add(self, quotes: Sequence[Quote]) -> int:
        authors = dict.fromkeys(quote.author for quote in quotes)
        with self._database.writing() as connection:
            if self._database.dialect == "postgresql":
                connection.execute("SELECT pg_advisory_xact_lock(%(writer)s)", {"writer": _WRITER})
            before = _last(connection)
            connection.execute_many(_ADD_AUTHOR, [{"author": author} for author in authors])
            connection.execute_many(_ADD_QUOTE, [_row(quote) for quote in quotes])
            return _last(connection) - before

    def merge(self, quotes: Sequence[Quote]) -> int:
        """As `add`, but that no other writer waits for it if there is nothing to add."""
        new = self._new(quotes)
        return self.add(new) if new else 0

    def _new(self, quotes: Sequence[Quote]) -> list[Quote]:
        """Those that are not there."""
        given = {(quote.author, _digest(quote)): quote for quote in quotes}
        if not given:
            return []
        rows = ", ".join(f"(%(author{at})s, %(digest{at})s)" for at in range(len(given)))
        parameters: dict[str, object] = {}
        for at, (author, digest) in enumerate(given):
            parameters |= {f"author{at}": author, f"digest{at}": digest}
        for author, digest in self._read(_KNOWN.format(rows=rows), **parameters):
            del given[author, bytes(digest)]
        return list(given.values())


def _last(connection: Connection) -> int:
    [(last,)] = connection.execute(_LAST)
    return int(last)


def _row(quote: Quote) -> Mapping[str, object]:
    return {"text": quote.text, "author": quote.author, "digest": _digest(quote)}


def _digest(quote: Quote) -> bytes:
    return sha256(quote.text.encode()).digest()
