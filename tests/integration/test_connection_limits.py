"""A PostgreSQL that has fewer connections than the pool may open."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import psycopg
import pytest

from tests.support.clients.status import outcome
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import client_of, items, ready
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres, postgres
from tests.support.servers.server import running
from tests.support.waiting import until

pytestmark = NEEDS_POSTGRES

SIZE = 8
# Of the 12 connections, 3 are kept for administrators.
LIMITS = {"max_connections": "12", "superuser_reserved_connections": "3"}
SOON = 10


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres(LIMITS) as server:
        server.run("CREATE ROLE visitor LOGIN PASSWORD 'geheim'")
        yield server


@pytest.mark.parametrize(
    ("limited", "reason"),
    [
        ("server", "remaining connection slots are reserved"),
        ("role", 'too many connections for role "visitor"'),
    ],
)
def test_calls_go_on_with_the_connections_that_there_are_and_with_more_once_there_are(
    server: Postgres, tmp_path: Path, limited: str, reason: str
) -> None:
    service = items(tmp_path)
    apply_migrations(server.url, [service])
    server.run("GRANT ALL ON ALL TABLES IN SCHEMA public TO visitor")
    url = f"postgresql://visitor:geheim@127.0.0.1:{server.port}/items"
    with (
        ExitStack() as others,
        running([service], database_url=url, database_pool_size=SIZE) as at,
        client_of(at) as client,
        ThreadPoolExecutor(SIZE) as threads,
    ):
        until(lambda: ready(at), 20)
        assert client.add("first") == 1
        # No more than these two: that of the pool, and that of readiness.
        if limited == "role":
            server.run("ALTER ROLE visitor CONNECTION LIMIT 2")
        else:
            for _ in range(7):
                others.enter_context(psycopg.connect(url))

        def add(number: int) -> grpc.StatusCode:
            # Half of them hold their connection for a moment.
            sleep = "SELECT count(*) FROM items, pg_sleep(0.02)"
            return outcome(lambda: client.add(sleep if number % 2 else f"{number}"))

        codes = list(threads.map(add, range(100)))
        # They wait for the one connection, as for a pool of that size.
        assert codes.count(grpc.StatusCode.OK) > 90, Counter(codes)
        assert set(codes) <= {
            grpc.StatusCode.OK,
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
        assert ready(at)
        [line] = at.lines("database_unreachable")[:1]
        assert reason in line["problem"]
        assert "geheim" not in at.log_text()
        stored = {name for (name,) in server.run("SELECT name FROM items")}
        ok = {
            f"{number}" for number, code in enumerate(codes) if code is grpc.StatusCode.OK and number % 2 == 0
        }
        assert ok <= stored

        server.run("ALTER ROLE visitor CONNECTION LIMIT -1")
        others.close()

        def all_ok() -> bool:
            return set(threads.map(add, range(200, 240))) == {grpc.StatusCode.OK}

        until(all_ok, SOON)
