"""What the errors of PostgreSQL are to the client of a call."""

import psycopg

from app.core.errors import StatusError
from app.database.bound import NEAR, Bound
from app.database.errors import Exhausted, Unavailable
from app.database.migrations import COMMAND

READ_ONLY = "25006"
_CANCELLED = "57014"
# The server is stopping or starting, has crashed, or has no such database any more.
_SERVER_GONE = ("57P01", "57P02", "57P03", "57P04")
# The server has ended the session: its transaction or itself was idle, or the transaction took too long.
_SESSION_ENDED = ("25P03", "25P04", "57P05")
_CONNECTION = "08"  # a class

_CONFLICT = Unavailable, "the transaction conflicted with another", "conflict"
_FULL = Exhausted, "the database is out of disk or memory", "disk_full"
# Each of them has rolled the transaction back, and the next attempt may succeed.
_KINDS: dict[str, tuple[type[Unavailable] | type[Exhausted], str, str]] = {
    "40001": _CONFLICT,
    "40P01": _CONFLICT,
    "55P03": _CONFLICT,
    "53100": _FULL,
    "53200": _FULL,
    "53300": (Unavailable, "the database has no connection left", "too_many_connections"),
    _CANCELLED: (Unavailable, "the database has cancelled the statement", "cancelled"),
}
# A table, column or schema that does not exist: before `migrate`, or after a newer version has removed it.
_SCHEMA = ("42P01", "42703", "3F000")
_PERMISSION = "42501"
_DATA = "22"  # a class, whose messages quote what was given


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection has ended, or is about to end."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith(_CONNECTION) or state in _SERVER_GONE or state in _SESSION_ENDED


def is_server_gone(error: psycopg.Error) -> bool:
    """Whether all connections to the server have ended, or are about to end."""
    return error.sqlstate in _SERVER_GONE


def failure(error: psycopg.Error, bound: Bound, *, writes: bool, sql: str = "") -> Exception:
    """What to raise for an error of a transaction, or of its statement.

    For a bug, it is an error of the same class with the server's message, and without its values.

    Raises DeadlineExceeded or CallEnded if the transaction's bound is why it failed.
    """
    state = error.sqlstate or ""
    lost = is_lost(error)
    sql = sql.strip()
    if lost or state == _CANCELLED:
        bound.check(margin=NEAR)  # the server ends a statement a little before the deadline
    if lost:
        return Unavailable("the database has ended the connection", "connection_lost")
    if state == READ_ONLY and writes:
        return Unavailable("the database is read-only", "read_only")
    if state in _SCHEMA:
        return Unavailable(
            "the database does not have the schema of this server",
            "schema",
            f"{_primary(error)}; run {COMMAND}",
        )
    if state == _PERMISSION:
        return Unavailable(
            "the database does not permit this server to do that",
            "permission",
            f"{sql.partition(' ')[0]}: {_primary(error)}; grant this to the role, as in docs/database.md",
        )
    if state in _KINDS:
        kind, message, label = _KINDS[state]
        return kind(message, label)
    told = type(error).__name__ if state.startswith(_DATA) else _primary(error)
    found = type(error)(f"{state}: {told}" if state else told)
    found.sqlstate = error.sqlstate
    return found


def cause(failed: Exception, error: psycopg.Error) -> psycopg.Error | None:
    """What to raise it from: not from an error whose values would be in the log, with the traceback."""
    return error if isinstance(failed, StatusError) else None


def _primary(error: psycopg.Error) -> str:
    """The first line of the server's message. It names tables and columns; that of _DATA has values, too."""
    return error.diag.message_primary or str(error).partition("\n")[0]
