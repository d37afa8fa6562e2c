"""Applying migrations."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from app.core.database import Dialect, Row
from app.core.errors import DeadlineExceeded
from app.database.bound import Bound
from app.database.migrations import (
    CREATE_TABLE,
    TABLE,
    Migration,
    applied,
    pending,
)
from app.database.statement import sqlite_statement
from app.database.url import DatabaseUrl

if TYPE_CHECKING:
    import psycopg

# Any number, the same in every version: who has this lock migrates.
LOCK = 7_034_482_116
# Seconds to wait for another that migrates.
LOCK_WAIT = 60
_LOCK_PAUSE = 0.1  # seconds between two attempts
# Seconds that a migration waits for a lock on a table. All who use the table wait behind it.
TABLE_WAIT = 5

_RECORD = (
    f"INSERT INTO {TABLE} (service, number, name, checksum, oldest)"  # noqa: S608 - a constant
    " VALUES (%(service)s, %(number)s, %(name)s, %(checksum)s, %(oldest)s)"
)
# What an attempt that failed has left. IF NOT EXISTS would take it for the index.
_INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%(index)s) AND NOT indisvalid"


class MigrationError(Exception):
    """A migration was not applied, or the database could not be reached. Its text has no secret."""


class Session(Protocol):
    """A connection of its own for one who migrates."""

    dialect: Dialect

    def execute(self, sql: str, parameters: Mapping[str, object] = ...) -> list[Row]: ...

    def execute_many(self, sql: str, parameters: Any) -> None: ...

    def script(self, sql: str) -> None:
        """Runs several statements, without parameters."""
        ...

    def in_transaction(self) -> bool: ...

    def exclusive(self, *, in_transaction: bool) -> AbstractContextManager[None]:
        """No other process migrates meanwhile. Statements are in one transaction, or each is in its own."""
        ...


def migrate(
    session: Session,
    known: Iterable[Migration],
    report: Callable[[Migration], None],
    *,
    dry_run: bool = False,
) -> None:
    """Applies what is pending, each in one transaction, and reports it. Takes no lock if nothing is.

    A migration of an `index` is in none: it is recorded once it is done, and run again if it is not recorded.
    With `dry_run`, it reports what it would apply. Raises MigrationError and SchemaError.
    """
    known = list(known)
    missing = pending(known, applied(session, session.dialect))
    for one in missing:
        if not dry_run and not _apply(session, known, one):
            continue
        report(one)


def _apply(session: Session, known: Iterable[Migration], one: Migration) -> bool:
    """Returns whether it was this call, and nobody else meanwhile, that has applied it."""
    with session.exclusive(in_transaction=not one.index):
        session.script(CREATE_TABLE)
        if one not in pending(known, applied(session, session.dialect)):
            return False
        try:
            if one.index and session.execute(_INVALID, {"index": one.index}):
                session.script(f"DROP INDEX CONCURRENTLY {one.index}")
            session.script(one.sql)
        except Exception as error:
            # Without PostgreSQL's detail, which has values of rows.
            told = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip()
            raise MigrationError(f"{one.path}: {told}") from error
        if not one.index and not session.in_transaction():
            raise MigrationError(
                f"{one.path}: has ended the transaction in which it is applied, such as by COMMIT; expected"
                " no statement that does. What it did before may be in the database, and it does not count"
                " as applied: see what is there, undo that, and mend the file"
            )
        session.execute(
            _RECORD,
            {
                "service": one.service,
                "number": one.number,
                "name": one.name,
                "checksum": one.checksum,
                "oldest": one.oldest,
            },
        )
    return True


@contextmanager
def session_of(url: DatabaseUrl, connect_timeout: int) -> Iterator[Session]:
    """Opens a session. Raises MigrationError if the database cannot be reached, or ends the session."""
    opened = _sqlite(url) if url.dialect == "sqlite" else _postgresql(url, connect_timeout)
    with opened as session:
        yield session


class _Sqlite:
    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
        return self._connection.execute(sqlite_statement(sql), dict(parameters)).fetchall()

    def execute_many(self, sql: str, parameters: Any) -> None:
        self._connection.executemany(sqlite_statement(sql), parameters)

    def script(self, sql: str) -> None:
        # Not executescript, which commits what is open.
        for statement in sqlite_statements(sql):
            self._connection.execute(statement)

    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @contextmanager
    def exclusive(self, *, in_transaction: bool) -> Iterator[None]:
        del in_transaction  # no migration for SQLite is in none
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def sqlite_statements(sql: str) -> Iterator[str]:
    """The statements of a script for SQLite, triggers in one piece."""
    *parts, rest = sql.split(";")
    statement = ""
    for part in parts:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if (statement + rest).strip():
        yield statement + rest


@contextmanager
def _sqlite(url: DatabaseUrl) -> Iterator[Session]:
    # Imported only where it is used.
    from app.database.sqlite import patiently

    def to_wal() -> None:
        connection.execute("PRAGMA journal_mode = WAL").close()

    try:
        connection = sqlite3.connect(url.path, timeout=LOCK_WAIT, isolation_level=None)
    except sqlite3.Error as error:
        raise MigrationError(f"{url.path}: {error}") from None
    try:
        patiently(to_wal, Bound(LOCK_WAIT))  # SQLite does not always wait for this by itself
        connection.execute("PRAGMA synchronous = FULL")
        yield _Sqlite(connection)
    except DeadlineExceeded:
        raise MigrationError(f"{url.path}: another process has locked it for {LOCK_WAIT} s") from None
    except sqlite3.Error as error:
        raise MigrationError(f"{url.path}: {error}") from None
    finally:
        connection.close()


@contextmanager
def _postgresql(url: DatabaseUrl, connect_timeout: int) -> Iterator[Session]:
    # Imported only where it is used.
    import psycopg

    from app.database.connections import connect, conninfo

    class Postgresql:
        dialect: Dialect = "postgresql"

        def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

        def execute_many(self, sql: str, parameters: Any) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(sql, parameters)

        def script(self, sql: str) -> None:
            connection.execute(sql)

        def in_transaction(self) -> bool:
            return connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS

        @contextmanager
        def exclusive(self, *, in_transaction: bool) -> Iterator[None]:
            if in_transaction:
                with _locked(connection):
                    connection.execute(f"SET LOCAL lock_timeout = '{TABLE_WAIT}s'")
                    yield
                return
            with opened() as beside, _locked(beside):
                beside.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield

    def opened() -> psycopg.Connection[Any]:
        made = connect(conninfo(url.text, connect_timeout))
        # Whatever the default: who has waited for the lock sees what was applied meanwhile, and who only has
        # the lock keeps no snapshot, for whose end CREATE INDEX CONCURRENTLY would wait.
        made.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return made

    try:
        with opened() as connection:
            yield Postgresql()
    except psycopg.Error as error:
        raise MigrationError(str(error).strip()) from None


@contextmanager
def _locked(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """A transaction that has the lock. Raises MigrationError if another has it for too long.

    The lock is one of a transaction, not of a session: PgBouncer may give each transaction another one. It is
    not waited for in a statement, for whose end CREATE INDEX CONCURRENTLY of the one who has it would wait.
    """
    ends_at = time.monotonic() + LOCK_WAIT
    while True:
        with connection.transaction():
            if connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchall() == [(True,)]:
                yield
                return
        if time.monotonic() > ends_at:
            raise MigrationError(f"another one has been migrating for {LOCK_WAIT} s; run it again later")
        time.sleep(_LOCK_PAUSE)
