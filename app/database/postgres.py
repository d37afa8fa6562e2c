"""PostgreSQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import psycopg

from app.core.database import Connection, Dialect, Row
from app.database.bound import Bound
from app.database.connections import Connections, PostgresConnection, connect
from app.database.errors import UNKNOWN_OUTCOME, Unavailable
from app.database.postgres_errors import READ_ONLY, failure, is_gone
from app.database.watchdog import Running, Watchdog

# A connection that broke before its transaction began is replaced, this often.
_ATTEMPTS = 3
# Milliseconds by which a statement ends before the deadline, so that its connection can be used again.
_MARGIN = 10

# Seconds for a transaction beside the pool.
_APART = 2.0

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Said in full: with another default, a transaction that has waited for a lock would not see what was
# committed meanwhile.
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"


class PostgresDatabase:
    """A server of PostgreSQL, or several of which one takes writes. It need not be up."""

    dialect: Dialect = "postgresql"

    def __init__(self, info: Callable[[], str], size: int, wait: float) -> None:
        """`info` is what to connect with; it may change. See `Connections` for the rest."""
        self.connections = Connections(info, size, wait)
        self.places = (self.connections.places,)
        self._info = info
        self._apart: PostgresConnection | None = None
        self._apart_info = ""
        self._watchdog = Watchdog()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._opened.enter_context(self._watchdog)
        self._opened.enter_context(self.connections)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)
        self._close_apart()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._transaction(_READ, writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._transaction(_WRITE, writes=True) as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        bound = Bound(_APART)
        info = self._info()
        if self._apart is None or self._apart.closed or info != self._apart_info:
            self._close_apart()
            try:
                self._apart, self._apart_info = connect(info), info
            except psycopg.Error as error:
                raise Unavailable(f"the database cannot be reached: {error}".strip(), "unreachable") from None
        transaction = _Transaction(self._apart, self._watchdog.watch(self._apart, bound), writes=False)
        try:
            transaction.begin(_WRITE)
            transaction.check_takes_writes()
            yield transaction
        except psycopg.Error as error:
            self._close_apart()
            raise failure(error, bound, writes=False) from error
        except BaseException:
            self._close_apart()
            raise
        else:
            transaction.roll_back()
        finally:
            if self._watchdog.end(transaction.running):
                self._close_apart()

    def _close_apart(self) -> None:
        if self._apart is not None:
            self._apart.close()
        self._apart = None

    @contextmanager
    def _transaction(self, begin: str, *, writes: bool) -> Iterator[Connection]:
        transaction = self._begin(begin, Bound(), writes=writes)
        try:
            yield transaction
            transaction.commit()
        except BaseException:
            transaction.roll_back()
            raise
        finally:
            self._end(transaction)

    def _begin(self, begin: str, bound: Bound, *, writes: bool) -> "_Transaction":
        """Begins on a connection that works: this statement is the check of one that was idle."""
        for attempt in range(1, _ATTEMPTS + 1):
            connection = self.connections.acquire(bound)
            try:
                running = self._watchdog.watch(connection, bound)
            except BaseException:  # such as too many open files
                self.connections.release(connection)
                raise
            transaction = _Transaction(connection, running, writes=writes)
            try:
                transaction.begin(begin)
            except psycopg.Error as error:
                self._end(transaction, gone=is_gone(error))
                if not is_gone(error) or attempt == _ATTEMPTS:
                    raise failure(error, bound, writes=writes) from error
                bound.check()
            except BaseException:
                self._end(transaction, gone=True)
                raise
            else:
                return transaction
        raise AssertionError

    def _end(self, transaction: "_Transaction", *, gone: bool = False) -> None:
        if self._watchdog.end(transaction.running) or gone:
            transaction.connection.close()
        self.connections.release(transaction.connection)
        if gone or transaction.gone or transaction.read_only:
            self.connections.drop(transaction.connection, gone=gone or transaction.gone)


class _Transaction:
    def __init__(self, connection: PostgresConnection, running: Running, *, writes: bool) -> None:
        self.connection = connection
        self.running = running
        self.gone = False  # whether the server has ended the connection
        self.read_only = False  # whether it takes no writes
        self._writes = writes

    def begin(self, begin: str) -> None:
        left = max(1, int(self.running.bound.left() * 1000) - _MARGIN)
        # In one round trip. The second bound is the server's, in case that this process is stopped.
        self.connection.execute(
            f"{begin}; SET LOCAL statement_timeout = {left};"
            f" SET LOCAL idle_in_transaction_session_timeout = {left + 1000}"
        )

    def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
        self.running.bound.check()
        try:
            cursor = self.connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise self._failure(error) from error

    def execute_many(self, sql: str, parameters: Sequence[Mapping[str, object]]) -> None:
        self.running.bound.check()
        try:
            with self.connection.cursor() as cursor:
                cursor.executemany(sql, parameters)
        except psycopg.Error as error:
            raise self._failure(error) from error

    def check_takes_writes(self) -> None:
        """Raises Unavailable on a standby, or a primary that was demoted."""
        if self.execute("SHOW transaction_read_only") != [("off",)]:
            raise Unavailable("the database is read-only", "read_only")

    def commit(self) -> None:
        self.running.bound.check()
        try:
            done = self.connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if self._writes and is_gone(error):
                self.gone = True
                raise Unavailable(UNKNOWN_OUTCOME, "unknown_outcome") from error
            raise self._failure(error) from error
        if done != "COMMIT":
            raise RuntimeError("the transaction was not committed: one of its statements has failed")

    def roll_back(self) -> None:
        if self.connection.closed or self.gone:
            return
        try:
            if self.connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self.connection.execute("ROLLBACK")
        except psycopg.Error:
            self.connection.close()

    def _failure(self, error: psycopg.Error) -> Exception:
        self.read_only = self._writes and error.sqlstate == READ_ONLY
        self.gone = is_gone(error)
        if self.gone:
            self.connection.close()
        return failure(error, self.running.bound, writes=self._writes)
