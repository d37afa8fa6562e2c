"""Databases of each kind, for tests of what stores."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from app.core.call import CURRENT_CALL
from app.core.database import Connection, Database, Dialect
from app.core.environment import read
from app.core.service import Service
from app.database.database_settings import DatabaseSettings
from app.database.migrate import migrate, session_of
from app.database.migrations import migrations
from app.database.opening import open_database
from app.database.url import parse_url
from tests.support.bounds import call_of
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres

# Parameters of a fixture.
KINDS = ["sqlite", pytest.param("postgresql", marks=NEEDS_POSTGRES)]


def new_database(kind: str, name: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database. The fixture `postgresql` is asked for a server where it needs one."""
    if kind == "sqlite":
        return f"sqlite:///{folder / name}.db"
    server: Postgres = request.getfixturevalue("postgresql")
    server.run(f'CREATE DATABASE "{name}"', database="postgres")
    return server.url_of(name)


def apply_migrations(url: str, services: Sequence[Service[Any]]) -> None:
    """Applies those of every service, as the command `migrate` does."""
    parsed = parse_url(url)
    schemas = [service.schema for service in services if service.schema is not None]
    known = [one for schema in schemas for one in migrations(schema, parsed.dialect)]
    with session_of(parsed, 5) as session:
        migrate(session, known, lambda _: None)


class Patient:
    """A database whose transactions outside of calls may last, and wait for others, a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect: Dialect = database.dialect

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with _a_minute(), self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with _a_minute(), self._database.writing() as connection:
            yield connection


def _a_minute() -> AbstractContextManager[object]:
    return nullcontext() if CURRENT_CALL.get() is not None else call_of(seconds=60)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The database as a server has it, but that transactions wait longer for each other."""
    mistakes: list[str] = []
    variables = {"APP_DATABASE_URL": url, "APP_DATABASE_POOL_WAIT": "60"}  # a test's machine may be busy
    settings = read(DatabaseSettings, variables, mistakes)
    assert not mistakes
    with open_database(settings) as database:
        yield Patient(database)
