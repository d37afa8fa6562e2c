"""A server whose PostgreSQL is slow: it sleeps, or waits for a lock."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psycopg
import pytest

from tests.support.clients.status import outcome
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import Client, client_of, items, ready
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres, postgres
from tests.support.servers.server import Server, running
from tests.support.waiting import until

pytestmark = NEEDS_POSTGRES

SIZE = 6
WAIT = 0.3
# Seconds, on a busy machine.
LATE = 6
SLEEP = "SELECT pg_sleep(30)"
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE wait_event IN ('PgSleep', 'relation')"


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(shared: Postgres) -> Postgres:
    shared.empty()
    return shared


@pytest.fixture
def at(server: Postgres, tmp_path: Path) -> Iterator[Server]:
    service = items(tmp_path)
    apply_migrations(server.url, [service])
    with running(
        [service], database_url=server.url, database_pool_size=SIZE, database_pool_wait=WAIT
    ) as started:
        until(lambda: ready(started), 20)
        yield started


@pytest.fixture
def client(at: Server) -> Iterator[Client]:
    with client_of(at) as client:
        yield client


def test_calls_that_find_no_connection_are_refused_and_readiness_goes_on(
    server: Postgres, at: Server, client: Client
) -> None:
    slow = [client.begin(SLEEP) for _ in range(SIZE)]
    until(lambda: server.run(BUSY) == [(SIZE,)], 20)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        codes = set(threads.map(lambda _: outcome(client.count), range(8)))
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert time.monotonic() - began < 2 * WAIT + LATE  # two rounds of four
    time.sleep(1.5)  # as long as readiness takes to see an outage
    assert ready(at)
    assert not at.lines("database_down")
    for call in slow:
        call.cancel()
    # A client that leaves cancels its statement in the database, too.
    until(lambda: server.run(BUSY) == [(0,)], LATE)
    assert client.count() == 0


def test_a_table_that_is_locked_ends_calls_by_their_deadline_and_none_once_it_is_free(
    server: Postgres, at: Server, client: Client
) -> None:
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE items")
        began = time.monotonic()
        with ThreadPoolExecutor(3) as threads:
            codes = set(threads.map(lambda name: outcome(lambda: client.add(name, 0.5)), "abc"))
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert time.monotonic() - began < 0.5 + LATE
        until(lambda: server.run(BUSY) == [(0,)], LATE)
        assert ready(at)
    assert [client.add(name) for name in "abc"] == [1, 2, 3]
