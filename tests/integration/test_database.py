"""A server whose service stores what it is sent."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.core.database import Database, Schema
from app.core.service import Service
from app.database.migrate import migrate, session_of
from app.database.migrations import COMMAND, migrations
from app.database.url import parse_url
from deploy.faults.faults import Faults
from deploy.faults.faulty import faulty
from tests.docs.pages import Page
from tests.gen import other_pb2_grpc
from tests.gen.other_pb2 import DESCRIPTOR, EchoRequest, EchoResponse
from tests.support.servers.postgres import NEEDS_POSTGRES, PASSWORD, Postgres, postgres
from tests.support.servers.server import Server, running
from tests.support.waiting import until

ADD = "INSERT INTO items (name) VALUES (%(name)s)"
COUNT = "SELECT count(*) FROM items"


class Store(other_pb2_grpc.OtherServicer):
    """Echo stores the text of its request, and answers how many there are."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    def Echo(self, request: EchoRequest, context: grpc.ServicerContext) -> EchoResponse:
        del context
        assert self._database is not None
        with self._database.writing() as connection:
            connection.execute(
                request.text if request.text.startswith("SELECT") else ADD, {"name": request.text}
            )
        with self._database.reading() as connection:
            [(count,)] = connection.execute(COUNT)
        return EchoResponse(text=str(count))


@pytest.fixture
def service(tmp_path: Path) -> Service[Any]:
    for dialect in ("postgresql", "sqlite"):
        folder = tmp_path / "migrations" / dialect
        folder.mkdir(parents=True)
        (folder / "0001_items.sql").write_text("CREATE TABLE items (name text PRIMARY KEY);\n")
    return Service(
        descriptor=DESCRIPTOR.services_by_name["Other"],
        add_to_server=other_pb2_grpc.add_OtherServicer_to_server,
        schema=Schema(name="items", migrations=tmp_path / "migrations"),
        open_stored=lambda _settings, database: nullcontext(Store(database)),
    )


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(shared: Postgres) -> Postgres:
    shared.empty()
    return shared


def apply(url: str, service: Service[Any]) -> None:
    parsed = parse_url(url)
    assert service.schema is not None
    with session_of(parsed, 5) as session:
        migrate(session, migrations(service.schema, parsed.dialect), lambda _one: None)


@contextmanager
def stub_of(server: Server) -> Iterator[Any]:
    with grpc.insecure_channel(server.target) as channel:
        yield other_pb2_grpc.OtherStub(channel)


def ready(server: Server) -> bool:
    return server.get("/readyz")[0] == 200


def code_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, dict[str, object]]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details(), dict(error.trailing_metadata())


def test_a_server_is_ready_once_the_schema_is_there_and_stores(service: Service[Any], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/items.db"
    with running([service], database_url=url) as server, stub_of(server) as stub:
        [line] = until(lambda: server.lines("database_schema_wrong"))
        assert line["problem"].endswith(f"0001_items; run {COMMAND}")
        assert not ready(server)
        apply(url, service)
        until(lambda: ready(server))
        assert stub.Echo(EchoRequest(text="a")).text == "1"
    with running([service], database_url=url) as server, stub_of(server) as stub:
        assert stub.Echo(EchoRequest(text="b")).text == "2"


def test_a_database_that_no_service_uses_is_not_opened(tmp_path: Path) -> None:
    with running(database_url=f"sqlite:///{tmp_path}/items.db") as server:
        assert ready(server)
        assert server.lines("database_unused")
    assert not (tmp_path / "items.db").exists()


def test_without_a_url_a_service_is_ready_and_has_no_database(service: Service[Any]) -> None:
    with running([service]) as server, stub_of(server) as stub:
        assert ready(server)
        assert code_of(lambda: stub.Echo(EchoRequest()))[0] is grpc.StatusCode.INTERNAL
        assert "database_" not in server.get("/metrics")[1]


@NEEDS_POSTGRES
def test_readiness_follows_the_database_and_returns_soon_after_it_does(
    service: Service[Any], server: Postgres
) -> None:
    apply(server.url, service)
    with running([service], database_url=server.url) as at, stub_of(at) as stub:
        until(lambda: ready(at))
        assert stub.Echo(EchoRequest(text="a")).text == "1"
        server.stop()
        until(lambda: not ready(at), 20)
        code, details, metadata = code_of(lambda: stub.Echo(EchoRequest(text="b")))
        assert (code, details) == (
            grpc.StatusCode.UNAVAILABLE,
            "the database cannot be reached; retry later",
        )
        assert metadata["grpc-retry-pushback-ms"] == "100"
        assert at.total("database_up") == 0
        server.start()
        until(lambda: ready(at), 10)
        assert stub.Echo(EchoRequest(text="b")).text == "2"
        assert at.total("database_up") == 1
        assert at.total("database_errors_total", kind="unreachable") == 1
        assert [line["event"] for line in at.lines("database_down")] == ["database_down"]
        assert PASSWORD not in at.log_text()
        assert "p%40ss" not in at.log_text() + str([span.to_json() for span in at.spans])


@NEEDS_POSTGRES
def test_a_server_of_which_reads_are_wanted_in_an_outage_stays_ready(service: Service[Any]) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/items"
    with running([service], database_url=url, database_outage="serve-reads") as server:
        until(lambda: ready(server))
        assert server.lines("database_down")
        assert "secret" not in server.log_text()


@NEEDS_POSTGRES
def test_a_read_only_database_is_not_ready(service: Service[Any], server: Postgres) -> None:
    apply(server.url, service)
    server.run("ALTER DATABASE items SET default_transaction_read_only = on")
    try:
        with running([service], database_url=server.url) as at:
            [line] = until(lambda: at.lines("database_down"))
            assert line["problem"].startswith("the database is read-only")
            assert not ready(at)
    finally:
        server.run("ALTER DATABASE items RESET default_transaction_read_only", database="postgres")


@NEEDS_POSTGRES
def test_a_database_in_another_encoding_is_used(service: Service[Any], server: Postgres) -> None:
    server.run("DROP DATABASE IF EXISTS plain", database="postgres")
    server.run(
        "CREATE DATABASE plain ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0", database="postgres"
    )
    url = server.url_of("plain")
    apply(url, service)
    with running([service], database_url=url) as at, stub_of(at) as stub:
        until(lambda: ready(at))
        assert stub.Echo(EchoRequest(text="ä")).text == "1"


@NEEDS_POSTGRES
def test_a_broken_constraint_is_internal_and_the_log_has_no_values(
    service: Service[Any], server: Postgres
) -> None:
    apply(server.url, service)
    with running([service], database_url=server.url) as at, stub_of(at) as stub:
        until(lambda: ready(at))
        stub.Echo(EchoRequest(text="valuable"))
        assert code_of(lambda: stub.Echo(EchoRequest(text="valuable")))[0] is grpc.StatusCode.INTERNAL
        [line] = until(lambda: at.lines("unhandled_exception"))
        assert "23505: duplicate key value violates" in str(line)
        assert "valuable" not in at.log_text()
        assert at.total("database_errors_total", kind="other") == 1


@NEEDS_POSTGRES
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_changed_file_with_the_url_is_used_by_new_connections(
    service: Service[Any], server: Postgres, tmp_path: Path, kind: str
) -> None:
    apply(server.url, service)
    server.run("DROP ROLE IF EXISTS visitor")
    server.run("CREATE ROLE visitor LOGIN SUPERUSER PASSWORD 'old'")
    parts = {"host": "127.0.0.1", "port": str(server.port), "user": "visitor", "dbname": "items"}

    def password(text: str) -> None:
        if kind == "file":
            path.write_text(f"postgresql://visitor:{text}@127.0.0.1:{server.port}/items\n")
            return
        path.mkdir(exist_ok=True)
        for name, part in {**parts, "password": text}.items():
            (path / name).write_text(part)

    path = tmp_path / kind
    password("old")
    with running([service], database_url_file=path) as at, stub_of(at) as stub:
        until(lambda: ready(at))
        assert stub.Echo(EchoRequest(text="a")).text == "1"
        server.run("ALTER ROLE visitor PASSWORD 'new'")
        password("new")
        until(lambda: at.lines("file_reloaded"))
        server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'visitor'")
        assert stub.Echo(EchoRequest(text="b")).text == "2"
        assert ready(at)


def test_statements_have_spans_below_that_of_the_call_without_values(
    service: Service[Any], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/items.db"
    apply(url, service)
    with running([service], database_url=url) as server, stub_of(server) as stub:
        until(lambda: ready(server))
        stub.Echo(EchoRequest(text="valuable"))
        code_of(lambda: stub.Echo(EchoRequest(text="valuable")))
        until(lambda: len(server.spans) == 5)
        insert, select, call, failed, _ = server.spans
        assert [insert.name, select.name, failed.name] == ["INSERT", "SELECT", "INSERT"]
        assert insert.parent is not None
        assert insert.parent.span_id == call.context.span_id
        assert dict(insert.attributes or {}) == {
            "db.system.name": "sqlite",
            "db.operation.name": "INSERT",
            "db.query.text": ADD,
        }
        assert (failed.attributes or {})["error.type"] == "IntegrityError"
        assert not failed.status.is_ok
        assert not failed.events
        assert "valuable" not in str([span.to_json() for span in server.spans])
        assert server.total("database_transaction_seconds_count", kind="write") == 2
        assert server.total("database_errors_total", kind="other") == 1
        assert server.total("database_connections_limit") == 11
        assert server.total("database_connections_used") == 0
        assert server.total("database_writers_limit") == 1
        assert server.total("database_writers_used") == 0
        assert server.total("database_stale_seconds") == 0
        assert server.total("database_waiting") == 0
        assert server.total("database_wait_seconds_count") == 3
        listed = re.findall(r"`(database_\w+)`", Page("docs/database.md").section("## Metrics and spans"))
        assert len(listed) == 10
        served = server.get("/metrics")[1]
        assert [name for name in listed if f"# HELP {name} " not in served] == []


def test_a_server_does_not_start_with_a_url_that_is_wrong() -> None:
    with (
        pytest.raises(Exception, match="APP_DATABASE_URL: not the URL of a database") as caught,
        running(database_url="mysql://me:secret@host/items"),
    ):
        pass
    assert "secret" not in str(caught.value)


def test_a_service_with_faults_has_the_database(service: Service[Any], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/items.db"
    apply(url, service)
    with running([faulty(service, Faults())], database_url=url) as server, stub_of(server) as stub:
        until(lambda: ready(server))
        assert stub.Echo(EchoRequest(text="a")).text == "1"
