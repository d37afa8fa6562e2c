"""Two hundred thousand quotes: no statement reads them all."""

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice

import pytest

from app.core.database import Connection, Database, Dialect, Row
from app.services.quotes.database_store import PAGE, DatabaseStore
from app.services.quotes.quotes import Quote

AUTHORS, EACH = 20_000, 10

# `%%` is a remainder; digests are made of the numbers.
FILL = {
    "postgresql": (
        "INSERT INTO authors SELECT n, 'author ' || n FROM generate_series(0, %(authors)s - 1) AS n",
        """
        INSERT INTO quotes (id, author, number, text, digest)
        SELECT n, n %% %(authors)s, n / %(authors)s, 'quote ' || n, decode(lpad(n::text, 64, '0'), 'hex')
        FROM generate_series(0, %(quotes)s - 1) AS n
        """,
        "ANALYZE authors, quotes",
    ),
    "sqlite": (
        """
        WITH RECURSIVE one(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM one WHERE n + 1 < %(authors)s)
        INSERT INTO authors SELECT n, 'author ' || n FROM one
        """,
        """
        WITH RECURSIVE one(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM one WHERE n + 1 < %(quotes)s)
        INSERT INTO quotes (id, author, number, text, digest)
        SELECT n, n %% %(authors)s, n / %(authors)s, 'quote ' || n, CAST(printf('%%032d', n) AS BLOB) FROM one
        """,
    ),
}


def fill(database: Database, authors: int, each: int) -> None:
    with database.writing() as connection:
        for sql in FILL[database.dialect]:
            connection.execute(sql, {"authors": authors, "quotes": authors * each})


class Recorded:
    """A database that keeps the statements that are run, with their parameters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect: Dialect = database.dialect
        self.statements: dict[str, Mapping[str, object]] = {}

    def reading(self) -> AbstractContextManager[Connection]:
        return self._recorded(self._database.reading())

    def writing(self) -> AbstractContextManager[Connection]:
        return self._recorded(self._database.writing())

    @contextmanager
    def _recorded(self, transaction: AbstractContextManager[Connection]) -> Iterator[Connection]:
        with transaction as connection:
            yield _Recorded(connection, self.statements)


class _Recorded:
    def __init__(self, connection: Connection, statements: dict[str, Mapping[str, object]]) -> None:
        self._connection = connection
        self._statements = statements

    def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
        self._statements[sql] = parameters
        return self._connection.execute(sql, parameters)

    def execute_many(self, sql: str, parameters: Sequence[Mapping[str, object]]) -> None:
        self._statements[sql] = parameters[0]
        self._connection.execute_many(sql, parameters)


def plan(database: Database, sql: str, parameters: Mapping[str, object]) -> str:
    explain = "EXPLAIN" if database.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
    with database.writing() as connection:
        return "\n".join(str(row[-1]) for row in connection.execute(f"{explain} {sql}", parameters))


@pytest.mark.slow
def test_every_statement_finds_its_rows_by_an_index(database: Database) -> None:
    fill(database, AUTHORS, EACH)
    recorded = Recorded(database)
    store = DatabaseStore(recorded)
    store.pick("")
    store.pick("author 7")
    assert len(list(store.all("author 7"))) == EACH
    assert len(list(islice(store.all(""), 3 * PAGE))) == 3 * PAGE
    store.add([Quote("new", "author 7"), Quote("quote", "new author")])
    assert len(recorded.statements) >= 8
    plans = {sql: plan(database, sql, parameters) for sql, parameters in recorded.statements.items()}
    for sql, found in plans.items():
        for table in ("authors", "quotes", "own"):
            assert f"SCAN {table}" not in found, f"{sql}\n{found}"
            assert f"Seq Scan on {table}" not in found, f"{sql}\n{found}"
        assert "Sort" not in found, f"{sql}\n{found}"
        assert "TEMP B-TREE" not in found, f"{sql}\n{found}"


@pytest.mark.slow
def test_a_listing_keeps_one_page_in_memory(database: Database) -> None:
    fill(database, AUTHORS, EACH)
    listing = DatabaseStore(database).all("")
    listed = sum(1 for _ in islice(listing, 10 * PAGE))  # what is kept for the next statements is there now
    tracemalloc.start()
    try:
        listed += sum(1 for _ in listing)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert listed == AUTHORS * EACH
    assert peak < 500_000, f"{peak} bytes for {listed} quotes"
