"""Databases whose disk is full, and then is not."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import grpc
import pytest

from tests.support.clients.status import code, outcome
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import Client, client_of, items, ready
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres, postgres
from tests.support.servers.server import running
from tests.support.servers.small_disk import SmallDisk, small_disk
from tests.support.waiting import until

SOON = 10
# A megabyte and more, so that a file of the log has less.
FIRST = "INSERT INTO items SELECT md5(n::text) || repeat('x', 1000) FROM generate_series(1, 2000) AS n"
NAMES = "SELECT name FROM items"
# With files of a megabyte for its log.
SMALL_LOG = "--wal-segsize=1"


class Disk(Protocol):
    def fill(self) -> None: ...

    def free(self) -> None: ...


class FileLimit:
    """Writes beyond the end of the table are cut short, as those on a full disk are."""

    def __init__(self, server: Postgres) -> None:
        self._server = server

    def fill(self) -> None:
        [(size,)] = self._server.run("SELECT pg_relation_size('items')")
        self._server.limit_files(size + 4096)  # half a page

    def free(self) -> None:
        self._server.limit_files(-1)


@contextmanager
def on_a_small_disk(megabytes: int) -> Iterator[SmallDisk]:
    with TemporaryDirectory(prefix="disk-") as folder:
        Path(folder).chmod(0o755)  # for the user that PostgreSQL runs as
        with small_disk(Path(folder) / "disk", megabytes) as disk:
            yield disk


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres({}, SMALL_LOG) as server:
        yield server


@pytest.fixture(params=["file-size limit", "tmpfs"])
def disk(server: Postgres, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """The disk of the tables; the log is on another."""
    if request.param == "file-size limit":
        yield FileLimit(server)
        return
    with on_a_small_disk(16) as small:
        server.own(small.folder)
        server.run(f"CREATE TABLESPACE small LOCATION '{small.folder}'")
        server.run("ALTER DATABASE items SET default_tablespace = small")
        yield small


class Adder:
    """Adds items that are long, and knows which were acknowledged."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.acknowledged: set[str] = set()

    def add(self) -> None:
        name = secrets.token_hex(1000)
        self._client.add(name)
        self.acknowledged.add(name)

    def fail(self) -> Any:
        """Adds until a call fails; returns its error."""
        for _ in range(5000):
            try:
                self.add()
            except grpc.RpcError as error:
                return error
        raise AssertionError("the disk is not full")


@NEEDS_POSTGRES
def test_postgresql_without_space_refuses_writes_and_serves_reads(
    server: Postgres, disk: Disk, tmp_path: Path
) -> None:
    service = items(tmp_path)
    apply_migrations(server.url, [service])
    server.run(FIRST)
    with running([service], database_url=server.url) as at, client_of(at) as client:
        until(lambda: ready(at), 20)
        adder = Adder(client)
        adder.add()
        disk.fill()
        for _ in range(3):
            error = adder.fail()
            assert code(error) is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error.details() == "the database is out of disk or memory; retry later"
            assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "100"
        assert client.count() == 2000 + len(adder.acknowledged)
        assert ready(at)
        assert at.total("database_errors_total", kind="disk_full") == 3
        disk.free()
        adder.add()
        server.kill()
        server.start()
        assert {name for (name,) in server.run(NAMES) if "x" not in name} == adder.acknowledged


@NEEDS_POSTGRES
def test_postgresql_without_space_for_its_log_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    service = items(tmp_path)
    with (
        on_a_small_disk(64) as disk,
        postgres({"min_wal_size": "2MB"}, SMALL_LOG, f"--waldir={disk.folder}/log") as server,
    ):
        apply_migrations(server.url, [service])
        server.run("CHECKPOINT")  # leaves two files of the log
        with running([service], database_url=server.url) as at, client_of(at) as client:
            until(lambda: ready(at), 20)
            adder = Adder(client)
            adder.add()
            disk.fill()
            # Refused by the server, or it goes down: that depends on where in its log it is.
            codes = {code(adder.fail()) for _ in range(5)}
            assert codes <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
            disk.free()
            server.kill()
            server.start()
            until(lambda: outcome(adder.add) is grpc.StatusCode.OK, SOON)
            assert {name for (name,) in server.run(NAMES)} >= adder.acknowledged


def test_sqlite_without_space_refuses_writes_and_serves_reads(tmp_path: Path) -> None:
    service = items(tmp_path)
    with on_a_small_disk(8) as disk:
        url = f"sqlite:///{disk.folder}/items.db"
        apply_migrations(url, [service])
        with running([service], database_url=url) as at, client_of(at) as client:
            until(lambda: ready(at), 20)
            adder = Adder(client)
            adder.add()
            disk.fill()
            for _ in range(3):
                error = adder.fail()
                assert code(error) is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert error.details() == "the disk of the database is full; retry later"
            assert client.count() == len(adder.acknowledged)
            assert ready(at)
            disk.free()
            adder.add()
            assert client.count() == len(adder.acknowledged)
        with running([service], database_url=url) as at, client_of(at) as client:
            until(lambda: ready(at), 20)
            assert client.count() == len(adder.acknowledged)
