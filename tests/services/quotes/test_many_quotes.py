"""Two hundred thousand quotes: no statement reads them all."""

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice

import pytest

from app.core.database import Connection, Database, Dialect, Row
from app.services.quotes.database_store import PAGE, DatabaseStore
from app.services.quotes.quotes import Quote

pytestmark = pytest.mark.timeout(300)

AUTHORS, EACH, MORE = 20_000, 10, 5_000

# Rows that are made in one transaction, which has a time.
BATCH = 20_000

# Rows from `start` to before `end`; `%%` is a remainder, and digests are made of the numbers.
_NUMBERS = {
    "postgresql": "WITH made AS (SELECT generate_series(%(start)s::bigint, %(end)s - 1) AS n)",
    "sqlite": """
        WITH RECURSIVE made(n) AS (SELECT %(start)s UNION ALL SELECT n + 1 FROM made WHERE n + 1 < %(end)s)
    """,
}
_DIGEST = {
    "postgresql": "decode(lpad(n::text, 64, '0'), 'hex')",
    "sqlite": "CAST(printf('%%032d', n) AS BLOB)",
}
_AUTHORS, _QUOTES = "authors (id, name)", "quotes (id, author, number, text, digest)"


def fill(database: Database) -> None:
    """Each author has as many quotes, but for the last one, who has many more."""
    digest = _DIGEST[database.dialect]
    sizes = {"authors": AUTHORS, "quotes": AUTHORS * EACH}
    for count, table, columns in (
        (AUTHORS + 1, _AUTHORS, "n, 'author ' || n"),
        (AUTHORS * EACH, _QUOTES, f"n, n %% %(authors)s, n / %(authors)s, 'quote ' || n, {digest}"),
        (MORE, _QUOTES, f"%(quotes)s + n, %(authors)s, n, 'more ' || n, {digest}"),
    ):
        sql = f"{_NUMBERS[database.dialect]} INSERT INTO {table} SELECT {columns} FROM made"  # noqa: S608 - ours
        for start in range(0, count, BATCH):
            with database.writing() as connection:
                connection.execute(sql, {"start": start, "end": min(start + BATCH, count)} | sizes)
    with database.writing() as connection:
        connection.execute("ANALYZE")


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
        if database.dialect == "postgresql":
            # A plan that sorts may be chosen where few rows are expected, by a sample that is random. With
            # these, only a missing index makes a plan sort.
            connection.execute("SET LOCAL enable_sort = off")
            connection.execute("SET LOCAL enable_bitmapscan = off")
        return "\n".join(str(row[-1]) for row in connection.execute(f"{explain} {sql}", parameters))


@pytest.mark.slow
def test_every_statement_finds_its_rows_by_an_index(database: Database) -> None:
    fill(database)
    recorded = Recorded(database)
    store = DatabaseStore(recorded)
    store.pick("")
    store.pick("author 7")
    assert len(list(store.all(f"author {AUTHORS}"))) == MORE
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
    fill(database)
    store = DatabaseStore(database)
    assert len(list(store.all("author 1"))) == EACH  # what is kept for the next statements is there now
    tracemalloc.start()
    try:
        listed = sum(1 for _ in store.all(""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert listed == AUTHORS * EACH + MORE
    assert peak < 500_000, f"{peak} bytes for {listed} quotes"
