"""What services see of a database: transactions, and the schema that they need."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Dialect = Literal["postgresql", "sqlite"]
Row = tuple[Any, ...]


class Connection(Protocol):
    """A transaction, for one thread at a time.

    SQL has named parameters as psycopg has them: `%(name)s`, and `%%` for a percent sign.
    """

    def execute(self, sql: str, parameters: Mapping[str, object] = ...) -> list[Row]:
        """Runs one statement, and returns all its rows, so bound them by LIMIT; none if it has none."""
        ...

    def execute_many(self, sql: str, parameters: Sequence[Mapping[str, object]]) -> None:
        """Runs one statement for each of the parameters."""
        ...


class Database(Protocol):
    """Safe from any thread.

    In a handler, transactions are bounded by what is left of the call's deadline, and end when its client
    leaves. Outside of calls they are bounded by a time of their own. What they raise ends a call with the
    right status code:

    - UNAVAILABLE: the database cannot be reached, does not answer, has ended the connection, is read-only, or
      lacks a table, a column or a right. Where it broke during a commit, the message says that the
      transaction may have been committed.
    - RESOURCE_EXHAUSTED: no connection was free in time, or the database's disk is full.
    - DEADLINE_EXCEEDED: the call's deadline has passed.
    - CallEnded: the client has left.

    The first two are StatusErrors with a time after which a client may retry. Other exceptions are those of
    the driver, such as for invalid SQL: bugs.
    """

    dialect: Dialect

    def reading(self) -> AbstractContextManager[Connection]:
        """A read-only transaction that sees one snapshot."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction, committed on exit, rolled back by an exception."""
        ...


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The tables of a service.

    `migrations` is a folder with one folder for each dialect, which has `0001_NAME.sql`, `0002_NAME.sql`, …:
    plain SQL, each applied in one transaction.
    """

    name: str
    migrations: Path
