"""A transaction of PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TypeVar

import psycopg

from app.core.database import Row
from app.database.connections import PostgresConnection
from app.database.errors import UNKNOWN_OUTCOME, Unanswered, Unavailable
from app.database.postgres_errors import READ_ONLY, cause, failure, is_lost, is_server_gone
from app.database.watchdog import Running

T = TypeVar("T")

READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Said in full: with another default, a transaction that has waited for a lock would not see what was
# committed meanwhile.
WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"

# Whatever role, database and URL say, a commit is on the disk before it is acknowledged. Other values than
# `off` stay, such as `remote_apply`, or `local`, which waits for no standby. The server's warning of a commit
# that was not replicated is heard whatever `client_min_messages` is.
_DURABLE = (
    "; SET LOCAL client_min_messages = warning; SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)

# Milliseconds by which a statement ends before the deadline, so that its connection can be used again.
_MARGIN = 10
# Milliseconds. A server that dies inside of a transaction without closing its connection keeps its locks for
# the first of them, so those who wait for the locks wait a little longer.
_IDLE = 3_000
_LOCK = 10_000


class PostgresTransaction:
    """Implements Connection. `begin`, `commit` and `roll_back` are for the database that gives it."""

    def __init__(self, connection: PostgresConnection, running: Running, *, writes: bool) -> None:
        self.connection = connection
        self.running = running
        self.lost = False  # whether the connection has ended
        self.lost_for_no_reason = False  # that the server has told
        self.server_gone = False  # whether all others have, too
        self.read_only = False  # whether the server takes no writes
        self._writes = writes

    def begin(self, begin: str, most: float = inf) -> None:
        """Its statements may take `most` seconds each. Raises psycopg.Error."""
        left = max(1, int(min(self.running.bound.left(), most) * 1000) - _MARGIN)
        # In one round trip. PostgreSQL has bounds of its own, in case that this process or its host is gone.
        sql = (
            f"{begin}; SET LOCAL statement_timeout = {left}; SET LOCAL lock_timeout = {_LOCK};"
            f" SET LOCAL idle_in_transaction_session_timeout = {min(left + 1000, _IDLE)}"
            f"{_DURABLE if self._writes else ''}"
        )
        self._ask(lambda: self.connection.execute(sql))

    def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
        def act() -> list[Row]:
            cursor = self.connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

        return self._run(act, sql)

    def execute_many(self, sql: str, parameters: Sequence[Mapping[str, object]]) -> None:
        def act() -> None:
            with self.connection.cursor() as cursor:
                cursor.executemany(sql, parameters)

        self._run(act, sql)

    def check_takes_writes(self) -> None:
        """Raises Unavailable on a standby, or a primary that was demoted."""
        if self.execute("SHOW transaction_read_only") != [("off",)]:
            self.read_only = True
            raise Unavailable("the database is read-only", "read_only")

    def commit(self) -> None:
        self.running.bound.check()
        warnings = self.connection.warnings.count
        try:
            done = self._ask(lambda: self.connection.execute("COMMIT")).statusmessage
        except psycopg.Error as error:
            if self._writes and is_lost(error):
                self._note(error)
                raise Unavailable(UNKNOWN_OUTCOME, "unknown_outcome") from error
            failed = self.failure(error)
            raise failed from cause(failed, error)
        if done != "COMMIT":
            raise RuntimeError("the transaction was not committed: one of its statements has failed")
        if self._writes and self.connection.warnings.count != warnings:
            # Such as that of a commit that was cancelled while it waited for a synchronous standby.
            raise Unavailable(UNKNOWN_OUTCOME, "unknown_outcome")

    def roll_back(self) -> None:
        if self.connection.closed or self.lost:
            return
        try:
            if self.connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._ask(lambda: self.connection.execute("ROLLBACK"))
        except psycopg.Error:
            self.connection.close()

    def _run(self, act: Callable[[], T], sql: str) -> T:
        self.running.bound.check()
        try:
            return self._ask(act)
        except psycopg.Error as error:
            failed = self.failure(error, sql)
            raise failed from cause(failed, error)

    def _ask(self, act: Callable[[], T]) -> T:
        self.running.asks()
        try:
            answer = act()
        except BaseException as error:
            self.running.ended(answered=getattr(error, "sqlstate", None) is not None)
            raise
        self.running.begun = True
        self.running.ended(answered=True)
        return answer

    def failure(self, error: psycopg.Error, sql: str = "") -> Exception:
        """As the function of that name. Notes what the error says of the connection."""
        self._note(error)
        if self.lost and self.running.unanswered:
            return Unanswered()
        return failure(error, self.running.bound, writes=self._writes, sql=sql)

    def _note(self, error: psycopg.Error) -> None:
        self.read_only = self._writes and error.sqlstate == READ_ONLY
        self.server_gone = is_server_gone(error)
        self.lost = is_lost(error)
        self.lost_for_no_reason = self.lost and error.sqlstate is None
        if self.lost:
            self.connection.close()
