import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.database import Database
from app.database.sqlite import SqliteDatabase
from app.services.quotes import QUOTES, open_service
from tests.support.servers.program import SHIPPED
from tests.support.servers.server import Server, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    p = tmp_path / "quotes.db"
    c = sqlite3.connect(p)
    assert QUOTES.schema
    c.executescript((QUOTES.schema.migrations / "sqlite/0001_quotes.sql").read_text())
    c.close()
    return p


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with SqliteDatabase(path, 10, 5) as d:
        yield d


@pytest.fixture
def another(path: Path) -> Iterator[Database]:
    with SqliteDatabase(path, 10, 5) as d:
        yield d


@pytest.fixture
def server(database: Database) -> Iterator[Server]:
    stored = replace(QUOTES, open_stored=lambda settings, _: open_service(settings, database))
    with running([stored if one is QUOTES else one for one in SHIPPED]) as started:
        yield started
