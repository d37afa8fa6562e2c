"""PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import psycopg

from app.core.database import Connection, Dialect
from app.core.errors import DeadlineExceeded
from app.database.apart import Apart
from app.database.bound import Bound
from app.database.breaker import SILENCE, Breaker
from app.database.connections import Connections, check_encoding
from app.database.errors import Exhausted, Unanswered
from app.database.postgres_errors import cause, is_lost
from app.database.postgres_transaction import READ, WRITE, PostgresTransaction
from app.database.watchdog import Watchdog

# Seconds for which a look waits for its BEGIN where PgBouncer holds it back: while all of its connections to
# PostgreSQL are in use, or it is paused.
_HELD = 3.0
# A connection that broke before its transaction began is replaced, this often.
_ATTEMPTS = 3


class _Held(Exhausted):
    """A look was not answered, by a server that answers new connections."""


class PostgresDatabase:
    """A server of PostgreSQL, or several of which one takes writes. It need not be up.

    While a transaction `apart` is not answered, others are refused at once.
    """

    dialect: Dialect = "postgresql"

    def __init__(self, info: Callable[[], str], size: int, wait: float) -> None:
        """`info` is what to connect with; it may change. See `Connections` for the rest."""
        self._breaker = Breaker()
        self.connections = Connections(info, size, wait, self._breaker)
        self.places = (self.connections.places,)
        self._apart = Apart(info)
        self._was_read_only = False  # what the looks have found last
        self._watchdog = Watchdog(self._breaker)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._opened.enter_context(self._apart)
        self._opened.enter_context(self._watchdog)
        self._opened.enter_context(self.connections)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._transaction(READ, writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._transaction(WRITE, writes=True) as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        began = time.monotonic()
        self._breaker.look_began()
        try:
            with self._beside() as connection:
                yield connection
        except Unanswered:
            self._breaker.look_failed(began)
            raise
        except _Held:
            if self._breaker.look_held():
                self.connections.drop()
            raise
        except BaseException:
            self._look_answered()
            raise
        self._look_answered()

    def _look_answered(self) -> None:
        if self._breaker.look_answered():
            self.connections.drop()  # the others may lead to a host that will not answer again

    @contextmanager
    def _beside(self) -> Iterator[Connection]:
        connection = self._apart.get(SILENCE)
        running = self._watchdog.watch(connection, Bound(_HELD), beside=True)
        transaction = PostgresTransaction(connection, running, writes=False)
        try:
            self._begin_beside(transaction)
            running.bound = Bound(SILENCE)
            self._breaker.looking = False
            check_encoding(connection)
            transaction.check_takes_writes()
            if self._was_read_only:
                self._was_read_only = False
                self.connections.drop()  # they may lead to the old primary, which still answers reads
            yield transaction
        finally:
            self._was_read_only |= transaction.read_only
            transaction.roll_back()
            # The next look may find the new primary at the same address.
            if self._watchdog.end(running) or transaction.lost or transaction.read_only:
                self._apart.close()

    def _begin_beside(self, transaction: PostgresTransaction) -> None:
        try:
            transaction.begin(WRITE, most=SILENCE)
        except psycopg.Error as error:
            try:
                failed = transaction.failure(error)
            except DeadlineExceeded:
                raise _Held(f"the database has begun no transaction for {_HELD:g} s", "pool") from error
            raise failed from cause(failed, error)

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
            self._end(transaction, writes=writes)

    def _begin(self, begin: str, bound: Bound, *, writes: bool) -> PostgresTransaction:
        """Begins on a connection that works: this statement is the check of one that was idle."""
        for attempt in range(1, _ATTEMPTS + 1):
            connection = self.connections.acquire(bound, writes=writes)
            try:
                running = self._watchdog.watch(connection, bound)
            except BaseException:  # such as too many open files
                self.connections.release(connection, writes=writes)
                raise
            transaction = PostgresTransaction(connection, running, writes=writes)
            try:
                transaction.begin(begin)
            except psycopg.Error as error:
                try:
                    failed = transaction.failure(error)
                finally:
                    self._end(transaction, writes=writes)
                if not is_lost(error) or running.unanswered or attempt == _ATTEMPTS:
                    raise failed from cause(failed, error)
                bound.check()
            except BaseException:
                connection.close()
                self._end(transaction, writes=writes)
                raise
            else:
                return transaction
        raise AssertionError

    def _end(self, transaction: PostgresTransaction, *, writes: bool) -> None:
        """Gives the connection back, and drops the others where they are known not to work either."""
        connection = transaction.connection
        try:
            ended = self._watchdog.end(transaction.running)
            if ended:
                connection.close()
            # While looks are not answered either, PgBouncer may have held its BEGIN back.
            leads_nowhere = transaction.running.silent and not self._breaker.looking
            if transaction.server_gone:
                self.connections.drop(connection.made_at)
            elif transaction.read_only:
                self.connections.drop(connection.made_at, often=False)
            elif (transaction.lost_for_no_reason and not ended) or leads_nowhere:
                self.connections.lost(connection)
        finally:
            self.connections.release(connection, writes=writes)
