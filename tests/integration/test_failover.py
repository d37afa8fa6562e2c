"""A primary of PostgreSQL and its standby, one of which takes over."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import grpc
import pytest

from app.core.errors import StatusError
from app.database.connections import conninfo
from app.database.errors import Unavailable
from app.database.postgres import PostgresDatabase
from tests.support.bounds import call_of
from tests.support.clients.status import outcome
from tests.support.network.bad_network import BadNetwork
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import client_of, items, ready
from tests.support.servers.postgres import ENCODED, NEEDS_POSTGRES, USER, Postgres, postgres, standby_of
from tests.support.servers.server import running
from tests.support.waiting import until

pytestmark = [NEEDS_POSTGRES, pytest.mark.slow, pytest.mark.timeout(120)]

ADD = "INSERT INTO items (name) VALUES (%(name)s) ON CONFLICT DO NOTHING"
# Ends the connections of others.
END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = 'items' AND pid <> pg_backend_pid()"
)
# Seconds after the new primary takes writes.
SOON = 2.0
# Seconds to connect to one host.
CONNECT = 2


@pytest.fixture
def primary() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def standby(primary: Postgres) -> Iterator[Postgres]:
    with standby_of(primary) as server:
        yield server


class Writer:
    """Adds one number after the other, each until it is acknowledged."""

    def __init__(self, database: PostgresDatabase, name: str) -> None:
        self._database = database
        self._name = name
        self._stopped = Event()
        self.acknowledged: list[str] = []
        self.times: list[float] = []  # of the acknowledgements
        self.problems: set[str] = set()
        self._thread = Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        while not self._stopped.is_set():
            name = f"{self._name} {len(self.acknowledged)}"
            try:
                with call_of(seconds=2), self._database.writing() as connection:
                    connection.execute(ADD, {"name": name})
            except StatusError as error:
                self.problems.add(error.message)
                time.sleep(0.02)
            else:
                self.acknowledged.append(name)
                self.times.append(time.monotonic())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


@contextmanager
def writing(database: PostgresDatabase) -> Iterator[list[Writer]]:
    writers = [Writer(database, f"writer {number}") for number in range(4)]
    try:
        until(lambda: all(len(writer.acknowledged) > 20 for writer in writers), 20)
        yield writers
    finally:
        for writer in writers:
            writer.stop()


def hosts(*ports: int) -> str:
    """The URL of several servers."""
    named = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://{USER}:{ENCODED}@{named}/items"


def seconds_until_all_write(writers: list[Writer], since: float) -> float:
    """Until each has had a write acknowledged that came after that moment."""

    def firsts() -> list[float]:
        return [next((at for at in writer.times if at > since), 0) for writer in writers]

    until(lambda: all(firsts()), 20)
    return max(firsts()) - since


def check(writers: list[Writer], server: Postgres) -> None:
    """Nothing acknowledged is lost, and each failure was one that is told of a database."""
    kept = {name for (name,) in server.run("SELECT name FROM items")}
    assert all(kept.issuperset(writer.acknowledged) for writer in writers)
    allowed = (
        "the database ",
        "the transaction ",
        "no connection",
        "too many transactions",
        "the deadline passed",
    )
    assert [text for one in writers for text in one.problems if not text.startswith(allowed)] == []


def swap(primary: Postgres, standby: Postgres) -> float:
    """A switch-over. Returns when the standby takes writes."""
    primary.stop()
    standby.promote()
    promoted_at = time.monotonic()
    primary.demote(standby)
    return promoted_at


def replace(primary: Postgres, standby: Postgres) -> float:
    """A failover. Returns when the standby takes writes."""
    primary.kill()
    time.sleep(3)  # calls meet the outage before somebody promotes
    standby.promote()
    return time.monotonic()


@pytest.mark.alone
@pytest.mark.parametrize("fail_over", [replace, swap])
def test_writers_find_the_new_primary_and_nothing_acknowledged_is_lost(
    primary: Postgres, standby: Postgres, fail_over: Callable[[Postgres, Postgres], float]
) -> None:
    primary.run("CREATE TABLE items (name text PRIMARY KEY)")
    info = conninfo(hosts(primary.port, standby.port), 2)
    with PostgresDatabase(lambda: info, size=4, wait=2) as database, writing(database) as writers:
        assert seconds_until_all_write(writers, fail_over(primary, standby)) < SOON
        # Again with an old primary that answers, and does not take writes.
        standby.run(END_ALL)
        assert seconds_until_all_write(writers, time.monotonic()) < SOON
    check(writers, standby)


def test_a_primary_that_does_not_answer_costs_the_time_to_connect_to_it(
    primary: Postgres, standby: Postgres
) -> None:
    primary.run("CREATE TABLE items (name text PRIMARY KEY)")
    with BadNetwork(f"127.0.0.1:{primary.port}") as network:
        info = conninfo(hosts(network.port, standby.port), CONNECT)
        with PostgresDatabase(lambda: info, size=4, wait=2) as database, writing(database) as writers:
            network.silence()
            standby.promote()
            seconds = seconds_until_all_write(writers, time.monotonic())
        assert seconds < 2 * CONNECT + 5 * SOON
        check(writers, standby)
        network.heal()


def test_an_address_that_moves_is_followed_though_the_old_primary_serves_on(
    primary: Postgres, standby: Postgres, tmp_path: Path
) -> None:
    service = items(tmp_path)
    apply_migrations(primary.url, [service])
    with BadNetwork(f"127.0.0.1:{primary.port}") as network:
        url = primary.url_of("items", network.port)
        with running([service], database_url=url) as at, client_of(at) as client:
            until(lambda: ready(at), 20)
            assert client.add("before") == 1
            swap(primary, standby)
            # The address leads to the old primary still, which now reads and does not write.
            until(lambda: outcome(client.count) is grpc.StatusCode.OK, 20)
            with pytest.raises(grpc.RpcError, match="the database is read-only"):
                client.add("meanwhile")
            until(lambda: not ready(at), 20)
            assert client.count() == 1
            network.leads_to = f"127.0.0.1:{standby.port}"
            until(lambda: outcome(lambda: client.add("after")) is grpc.StatusCode.OK, 5 * SOON)
            until(lambda: ready(at), 20)
            assert client.count() == 2


def test_reads_follow_the_primary_though_nothing_was_written(primary: Postgres, standby: Postgres) -> None:
    def reads_from_a_standby() -> set[bool]:
        with ExitStack() as several:
            readers = [several.enter_context(database.reading()) for _ in range(4)]
            return {reader.execute("SELECT pg_is_in_recovery()")[0][0] for reader in readers}

    with BadNetwork(f"127.0.0.1:{primary.port}") as network:
        info = conninfo(primary.url_of("items", network.port), CONNECT)
        with PostgresDatabase(lambda: info, size=4, wait=2) as database:
            swap(primary, standby)
            assert reads_from_a_standby() == {True}
            with pytest.raises(Unavailable, match="read-only"), database.apart():
                pass
            network.leads_to = f"127.0.0.1:{standby.port}"
            assert reads_from_a_standby() == {True}
            with database.apart():
                pass
            assert reads_from_a_standby() == {False}
