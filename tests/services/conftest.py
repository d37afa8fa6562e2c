from collections.abc import Iterator
from itertools import count
from pathlib import Path

import grpc
import pytest

from tests.support.servers.databases import KINDS, apply_migrations, new_database
from tests.support.servers.postgres import Postgres, postgres
from tests.support.servers.program import SHIPPED
from tests.support.servers.server import Server, running

_numbers = count()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with every service of this program, for one test, without a database."""
    with running(SHIPPED) as started:
        yield started


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.target) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    with postgres() as started:
        yield started
        started.kill()  # nothing of it is needed any more, which a stop would write to the disk


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database with the tables of every service. A test that takes it runs on each kind."""
    url = new_database(request.param, f"services_{next(_numbers)}", tmp_path, request)
    apply_migrations(url, SHIPPED)
    return url


@pytest.fixture
def stored_server(database_url: str) -> Iterator[Server]:
    """As `server`, with a database."""
    with running(SHIPPED, database_url=database_url) as started:
        yield started


@pytest.fixture
def stored_channel(stored_server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(stored_server.target) as opened:
        yield opened
