"""What the errors of PostgreSQL are to the client of a call."""

import psycopg

from app.database.bound import NEAR, Bound
from app.database.errors import Exhausted, Unavailable

READ_ONLY = "25006"
_CANCELLED = "57014"
# Classes of SQLSTATE: the connection; the server is stopping or starting.
_UNREACHABLE = ("08", "57P")
# The server has ended the session, because its transaction idled or it lasted too long.
_ENDED = ("25P03", "25P04")

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


def is_gone(error: psycopg.Error) -> bool:
    """Whether the server has ended the connection, or is about to end all of them."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith(_UNREACHABLE) or state in _ENDED


def failure(error: psycopg.Error, bound: Bound, *, writes: bool) -> Exception:
    """What to raise for an error of a transaction. An error that is a bug is returned as it is.

    Raises DeadlineExceeded or CallEnded if the transaction's bound is why it failed.
    """
    state = error.sqlstate or ""
    gone = is_gone(error)
    if gone or state == _CANCELLED:
        bound.check(margin=NEAR)  # the server ends a statement a little before the deadline
    if gone:
        return Unavailable("the database has ended the connection", "connection_lost")
    if state == READ_ONLY and writes:
        return Unavailable("the database is read-only", "read_only")
    if state in _KINDS:
        kind, message, label = _KINDS[state]
        return kind(message, label)
    return error
