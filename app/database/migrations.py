"""The migrations of schemas: what they are, and which of them a database has."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from app.core.database import Connection, Dialect, Schema
from app.core.errors import StartError
from app.core.name import NAME
from app.database.script import Statement, comments, statements

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# A migration that programs do not work with unless they know the migration of this number.
_OLDEST = re.compile(r"--\s*oldest:\s*([0-9]+)\s*")
# A comment that may be meant as one of these.
_LIKE_OLDEST = re.compile(r"\boldest\s*:", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*")
# A migration for PostgreSQL that is applied outside of a transaction. It is run again if it was not recorded,
# so it is one of the statements that change nothing then.
_NO_TRANSACTION = re.compile(r"^-- no-transaction$", re.MULTILINE)
_CONCURRENT_INDEX = re.compile(
    r"\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+(?P<made>\w+)\s+ON\s+"
    r"(?:ONLY\s+)?\w+\b(?!\s*\.)|DROP\s+INDEX\s+CONCURRENTLY\s+IF\s+EXISTS\s+(?P<dropped>\w+)\s*;?\s*$)",
    re.IGNORECASE,
)

TABLE = "schema_migrations"
# The same for each dialect. `oldest` is the number that a program must know to work with the schema.
CREATE_TABLE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    service text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    oldest integer NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (service, number)
)
"""
_EXISTS: Mapping[Dialect, str] = {
    "postgresql": f"SELECT to_regclass('{TABLE}') IS NOT NULL",
    "sqlite": f"SELECT count(*) FROM sqlite_master WHERE name = '{TABLE}'",  # noqa: S608 - a constant
}
_APPLIED = f"SELECT service, number, checksum, oldest FROM {TABLE} ORDER BY number"  # noqa: S608 - a constant

COMMAND = f"{NAME} migrate"


@dataclass(frozen=True)
class Migration:
    """One step of a schema. `oldest` is 0 where every program works with it that has worked before.

    `index` is that of a migration that makes or drops one outside of a transaction, otherwise "".
    """

    service: str
    number: int
    name: str
    path: Path
    sql: str
    oldest: int
    index: str = ""

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.service} {self.number:04}_{self.name}"


@dataclass(frozen=True)
class Applied:
    """A migration that a database has."""

    checksum: str
    oldest: int


class SchemaError(Exception):
    """The database's schema is not one that this program works with. Its text says what to do."""


def migrations(schema: Schema, dialect: Dialect) -> tuple[Migration, ...]:
    """The schema's migrations in order.

    Raises StartError for files whose names or numbers are wrong, for statements that cannot be in a
    transaction, and for those that contract the schema without a right `-- oldest:`.
    """
    folder = schema.migrations / dialect
    found: list[Migration] = []
    for path in sorted(folder.glob("*")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise StartError(f"{path}: not the name of a migration; expected one such as 0001_items.sql")
        if int(match[1]) != len(found) + 1:
            raise StartError(f"{path}: number {match[1]}; expected {len(found) + 1:04}, without gaps")
        sql = path.read_text()
        index = _concurrent_index(path, sql, dialect) if _NO_TRANSACTION.search(sql) else ""
        if not index:
            _check_statements(path, sql, dialect)
        oldest = _oldest(path, sql, dialect, len(found) + 1)
        found.append(Migration(schema.name, len(found) + 1, match[2], path, sql, oldest, index))
    if not found:
        raise StartError(f"{folder}: no migrations; expected 0001_NAME.sql")
    return tuple(found)


def _check_statements(path: Path, sql: str, dialect: Dialect) -> None:
    for one in statements(sql, dialect):
        if one.not_in_a_transaction:
            raise StartError(
                f"{path}: line {one.line}: {one.not_in_a_transaction} cannot be in a migration, because each"
                f" is applied in one transaction; expected statements without it{_or_marked(one)}"
            )


def _or_marked(statement: Statement) -> str:
    index = "INDEX" in statement.words and "CONCURRENTLY" in statement.words
    return ", or a file of its own with a line `-- no-transaction`" if index else ""


def _concurrent_index(path: Path, sql: str, dialect: Dialect) -> str:
    """The index that the only statement of the file makes or drops."""
    if dialect != "postgresql":
        raise StartError(
            f"{path}: `-- no-transaction` is for PostgreSQL only; expected CREATE INDEX without it"
        )
    match = _CONCURRENT_INDEX.match(_COMMENT.sub("", sql))
    if match is None or len(list(statements(sql, dialect))) != 1:
        raise StartError(
            f"{path}: not a file for `-- no-transaction`; expected one statement, CREATE INDEX CONCURRENTLY"
            " IF NOT EXISTS NAME ON TABLE or DROP INDEX CONCURRENTLY IF EXISTS NAME, with names that are"
            " neither quoted nor with a schema"
        )
    return match["made"] or match["dropped"]


def _oldest(path: Path, sql: str, dialect: Dialect, number: int) -> int:
    """What the migration says about programs that know older ones; 0 if it says nothing, and need not."""
    said = 0
    for comment in comments(sql, dialect):
        match = _OLDEST.fullmatch(comment.text)
        if match is not None and comment.alone and not said:
            said = int(match[1])
            if not 1 <= said <= number:
                raise StartError(
                    f"{path}: line {comment.line}: oldest: {said}; expected a migration from 1 to {number},"
                    " this one's number: no program works with a schema that needs a later one"
                )
        elif _LIKE_OLDEST.search(comment.text):
            raise StartError(
                f"{path}: line {comment.line}: a comment with oldest: that would not count; expected one line"
                " in the file that is `-- oldest: NUMBER`, and no other comment with that word and a colon"
            )
    for one in statements(sql, dialect):
        if one.contracts and not said:
            raise StartError(
                f"{path}: line {one.line}: takes away what older programs use; add a line `-- oldest: NUMBER`"
                " with the migration that a program must know to work without it"
            )
    return said


def applied(connection: Connection, dialect: Dialect) -> dict[tuple[str, int], Applied]:
    """What the database has, by service and number."""
    [(exists,)] = connection.execute(_EXISTS[dialect])
    if not exists:
        return {}
    return {
        (service, number): Applied(checksum, oldest)
        for service, number, checksum, oldest in connection.execute(_APPLIED)
    }


def check_known(known: Iterable[Migration], has: Mapping[tuple[str, int], Applied]) -> None:
    """Raises SchemaError if the database's schema is too new, or not made by these migrations."""
    newest: dict[str, int] = {}
    for one in known:
        newest[one.service] = one.number
        found = has.get((one.service, one.number))
        if found is not None and found.checksum != one.checksum:
            raise SchemaError(
                f"{one.path} was changed after it had been applied; restore it, and add a migration instead"
            )
    for (service, number), found in has.items():
        if service in newest and newest[service] < found.oldest:
            raise SchemaError(
                f"the schema of {service} is too new: its migration {number:04} needs a program that knows"
                f" {found.oldest:04}, and this one knows {newest[service]:04}; run a newer version"
            )


def pending(known: Iterable[Migration], has: Mapping[tuple[str, int], Applied]) -> list[Migration]:
    """Those that the database lacks, in order. Raises SchemaError as `check_known` does."""
    known = list(known)
    check_known(known, has)
    return [one for one in known if (one.service, one.number) not in has]


def check_current(known: Iterable[Migration], has: Mapping[tuple[str, int], Applied]) -> None:
    """Raises SchemaError if the schema is too old, too new, or not made by these migrations."""
    missing = pending(known, has)
    if missing:
        raise SchemaError(
            f"the schema of {missing[0].service} is too old: it lacks {len(missing)} of the migrations, the"
            f" first of which is {missing[0].number:04}_{missing[0].name}; run {COMMAND}"
        )
