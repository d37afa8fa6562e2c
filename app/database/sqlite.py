"""SQLite: one file, many readers, one writer at a time."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from app.core.database import Connection, Dialect, Row
from app.core.errors import DeadlineExceeded, StartError
from app.database.bound import ALONE, Bound
from app.database.errors import UNKNOWN_OUTCOME, Exhausted, Unavailable
from app.database.migrations import COMMAND
from app.database.places import Places
from app.database.statement import sqlite_statement

# Seconds that SQLite waits for another process's lock; then the bound is checked, and it waits again.
_WAIT = 0.05
# Seconds between two attempts where SQLite does not wait by itself, such as for the change to WAL.
_PAUSE = 0.005
# How many steps of SQLite's virtual machine pass between two checks of the bound: about a millisecond.
_STEPS = 10_000

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers and the writer do not wait for each other
    "PRAGMA synchronous = FULL",  # a commit is on the disk before it is acknowledged
    "PRAGMA foreign_keys = ON",
)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteDatabase:
    """A database in one file, which is made if it does not exist. Its folder must exist.

    Not for several pods, nor for a network file system. Raises StartError on entry if the file cannot be
    opened.
    """

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, size: int, wait: float) -> None:
        """At most `size` transactions read at once, and one writes.

        Others wait for at most `wait` seconds.
        """
        self._path = path
        self._lock = Lock()
        self._readers: list[sqlite3.Connection] = []
        self._writers: list[sqlite3.Connection] = []
        self._reading, self._writing = Places(size, wait, writers=0), Places(1, wait, writers=1)
        self.places = (self._reading, self._writing)
        # One that does not wait for the others.
        self._beside, self._aside = Places(1, wait, writers=0), list[sqlite3.Connection]()
        self._closed = False

    def __enter__(self) -> Self:
        try:
            self._writers.append(self._connect(Bound()))
        except sqlite3.Error as error:
            raise StartError(f"{self._path}: cannot be opened as a SQLite database: {error}") from None
        except DeadlineExceeded:
            raise StartError(f"{self._path}: another process has locked it for {ALONE:g} s") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            idle = self._readers + self._writers + self._aside
            self._readers, self._writers, self._aside = [], [], []
        for connection in idle:
            connection.close()

    def _connect(self, bound: Bound) -> sqlite3.Connection:
        # Any thread may use it, one at a time.
        connection = sqlite3.connect(
            self._path, timeout=_WAIT, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            for pragma in _PRAGMAS:
                patiently(partial(_run, connection, pragma), bound)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._transaction("BEGIN", self._reading, self._readers, "PRAGMA query_only = ON") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._transaction("BEGIN IMMEDIATE", self._writing, self._writers, "") as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        with self._transaction("BEGIN", self._beside, self._aside, "PRAGMA query_only = ON") as connection:
            yield connection

    @contextmanager
    def _transaction(
        self, begin: str, places: Places, idle: list[sqlite3.Connection], first: str
    ) -> Iterator[Connection]:
        bound = Bound()
        writes = places is self._writing
        places.take(bound, writes=writes)
        connection: sqlite3.Connection | None = None
        try:
            with _failures(bound):
                connection = self._take(idle, first, bound)
                connection.set_progress_handler(bound.over, _STEPS)
                patiently(partial(_run, connection, begin), bound)
            yield _Transaction(connection, bound)
            bound.check()
            connection.set_progress_handler(None, 0)  # a commit is not interrupted
            with _failures(bound, commits=writes):
                patiently(partial(_run, connection, "COMMIT"), bound)
        finally:
            try:
                if connection is not None:
                    self._put(idle, connection)
            finally:
                places.free(writes=writes)

    def _take(self, idle: list[sqlite3.Connection], first: str, bound: Bound) -> sqlite3.Connection:
        with self._lock:
            if idle:
                return idle.pop()
        connection = self._connect(bound)
        if first:
            connection.execute(first).close()
        return connection

    def _put(self, idle: list[sqlite3.Connection], connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(None, 0)
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK").close()
        except sqlite3.Error:
            connection.close()
            return
        with self._lock:
            if not self._closed:
                idle.append(connection)
                return
        connection.close()


class _Transaction:
    def __init__(self, connection: sqlite3.Connection, bound: Bound) -> None:
        self._connection = connection
        self._bound = bound

    def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
        self._bound.check()
        with _failures(self._bound):
            return self._connection.execute(sqlite_statement(sql), dict(parameters)).fetchall()

    def execute_many(self, sql: str, parameters: Sequence[Mapping[str, object]]) -> None:
        self._bound.check()
        with _failures(self._bound):
            self._connection.executemany(sqlite_statement(sql), [dict(one) for one in parameters]).close()


def _run(connection: sqlite3.Connection, sql: str) -> None:
    connection.execute(sql).close()


def patiently(act: Callable[[], None], bound: Bound) -> None:
    """Repeats an act while another process has the lock that it needs, within the bound."""
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY:
                raise
            bound.check()
            time.sleep(_PAUSE)


@contextmanager
def _failures(bound: Bound, *, commits: bool = False) -> Iterator[None]:
    """Raises what SQLite's errors are to the client of a call. Others are bugs, and stay as they are."""
    try:
        yield
    except sqlite3.OperationalError as error:
        match error.sqlite_errorcode & 0xFF:
            case sqlite3.SQLITE_INTERRUPT:
                bound.check()
                raise
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise Unavailable("another process has locked the database", "busy") from error
            case sqlite3.SQLITE_FULL:
                raise Exhausted("the disk of the database is full", "disk_full") from error
            case sqlite3.SQLITE_IOERR if commits:
                raise Unavailable(UNKNOWN_OUTCOME, "unknown_outcome") from error
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY:
                raise Unavailable(f"the database cannot be used: {error}", "unreachable") from error
            case _ if str(error).startswith(("no such table", "no such column")):
                raise Unavailable(
                    "the database does not have the schema of this server",
                    "schema",
                    f"{error}; run {COMMAND}",
                ) from error
            case _:
                raise
