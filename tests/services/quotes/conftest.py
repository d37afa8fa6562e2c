from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.database import Database
from tests.support.servers.databases import apply_migrations, opened
from tests.support.servers.program import SHIPPED
from tests.support.servers.server import Server, running
from tests.support.waiting import until


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url) as one:
        yield one


@pytest.fixture
def another(database_url: str) -> Iterator[Database]:
    """The same database, as another server has it."""
    with opened(database_url) as one:
        yield one


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with every service and a database, as `make run` starts it, for one test.

    The quotes of its file are merged.
    """
    url = f"sqlite:///{tmp_path / 'quotes.db'}"
    apply_migrations(url, SHIPPED)
    with running(SHIPPED, database_url=url) as started:
        until(lambda: started.lines("quotes_merged"), 20)
        yield started
