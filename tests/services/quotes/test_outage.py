"""A PostgreSQL that is killed under a server, and started again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.database.migrations import COMMAND
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes import EMBEDDED, QUOTES
from app.services.quotes.quotes import Quote, parse_quotes
from app.services.quotes.shared_store import STALE
from tests.support.clients.status import code
from tests.support.servers.databases import apply_migrations
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres, postgres
from tests.support.servers.server import running
from tests.support.waiting import until

pytestmark = [NEEDS_POSTGRES, pytest.mark.timeout(120)]

FILE = parse_quotes(EMBEDDED.read_bytes())
MINE = Quote("one", "Me")


@pytest.fixture
def ours() -> Iterator[Postgres]:
    """A server that no other test has."""
    with postgres() as started:
        yield started


def add(stub: Any) -> int:
    return int(
        stub.AddQuotes(iter([pb.AddQuotesRequest(quote=MINE.text, author=MINE.author)]), timeout=20).added
    )


def listed(stub: Any) -> tuple[list[Quote], bool]:
    """The quotes, and whether they are marked as stale."""
    call = stub.ListQuotes(pb.ListQuotesRequest(), timeout=20)
    quotes = [Quote(reply.quote, reply.author) for reply in call]
    return quotes, STALE in dict(call.trailing_metadata())


def test_reads_go_on_without_postgresql_and_what_was_added_is_there_again_afterwards(ours: Postgres) -> None:
    apply_migrations(ours.url, [QUOTES])
    with (
        running((QUOTES,), database_url=ours.url, database_outage="serve-reads") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        until(lambda: server.lines("quotes_merged"), 20)
        assert add(stub) == 1
        assert listed(stub) == ([*FILE, MINE], False)

        ours.kill()
        assert listed(stub) == (list(FILE), True)
        assert stub.GetQuote(pb.QuoteRequest(author="Mark Twain"), timeout=20).author == "Mark Twain"
        with pytest.raises(grpc.RpcError) as caught:
            add(stub)
        assert code(caught.value) is grpc.StatusCode.UNAVAILABLE

        ours.start()
        until(lambda: not listed(stub)[1], 20)
        assert listed(stub) == ([*FILE, MINE], False)
        assert add(stub) == 0


def test_a_server_that_starts_without_postgresql_serves_the_file_and_merges_it_later(ours: Postgres) -> None:
    apply_migrations(ours.url, [QUOTES])
    ours.kill()
    with (
        running((QUOTES,), database_url=ours.url, database_outage="serve-reads") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        assert listed(stub) == (list(FILE), True)
        ours.start()
        until(lambda: ours.run("SELECT count(*) FROM quotes") == [(len(FILE),)], 20)
        until(lambda: listed(stub) == (list(FILE), False), 20)


def timed(stub: Any, call: Callable[[Any], object]) -> float:
    began = time.monotonic()
    call(stub)
    return time.monotonic() - began


@pytest.mark.alone
def test_reads_go_on_soon_after_postgresql_has_stopped_to_answer(ours: Postgres) -> None:
    apply_migrations(ours.url, [QUOTES])
    with (
        running((QUOTES,), database_url=ours.url, database_outage="serve-reads") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        until(lambda: server.lines("quotes_merged"), 20)
        assert add(stub) == 1
        ours.pause()
        try:
            paused = time.monotonic()
            assert listed(stub)[1]
            assert time.monotonic() - paused < 4  # far less than the deadline
            until(lambda: server.lines("database_unanswered"), 10)
            assert timed(stub, listed) < 1
            with pytest.raises(grpc.RpcError, match="the database does not answer; retry later") as caught:
                add(stub)
            assert code(caught.value) is grpc.StatusCode.UNAVAILABLE
            until(lambda: server.total("database_stale_seconds") > 1, 10)
        finally:
            ours.resume()
            resumed = time.monotonic()
        until(lambda: not listed(stub)[1], 20)
        assert time.monotonic() - resumed < 4
        assert add(stub) == 0
        until(lambda: server.total("database_stale_seconds") == 0, 10)


STRANGER = """
DROP ROLE IF EXISTS stranger;
CREATE ROLE stranger LOGIN PASSWORD 'stranger';
GRANT SELECT ON schema_migrations TO stranger;
"""


@pytest.mark.parametrize("outage", ["serve-reads", "not-ready"])
def test_a_schema_that_is_not_there_leaves_the_file_and_says_what_to_run(
    postgresql: Postgres, outage: str
) -> None:
    postgresql.run(f'CREATE DATABASE "{outage}"', database="postgres")
    url = postgresql.url_of(outage)
    with (
        running((QUOTES,), database_url=url, database_outage=outage) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        assert listed(stub) == (list(FILE), True)
        assert stub.GetQuote(pb.QuoteRequest(author="Mark Twain"), timeout=20).author == "Mark Twain"
        check_refused(stub, "the database does not have the schema of this server; retry later")
        [line] = server.lines("database_unusable")[:1]
        assert line["problem"].endswith(f"does not exist; run {COMMAND}")
        apply_migrations(url, [QUOTES])
        until(lambda: listed(stub) == (list(FILE), False), 20)
        assert add(stub) == 1


def test_rights_that_are_missing_leave_the_file_and_are_logged(postgresql: Postgres) -> None:
    postgresql.run("CREATE DATABASE rights", database="postgres")
    apply_migrations(postgresql.url_of("rights"), [QUOTES])
    postgresql.run(STRANGER, database="rights")
    url = f"postgresql://stranger:stranger@127.0.0.1:{postgresql.port}/rights"
    with (
        running((QUOTES,), database_url=url, database_outage="serve-reads") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        assert listed(stub) == (list(FILE), True)
        check_refused(stub, "the database does not permit this server to do that; retry later")
        assert {line["problem"] for line in server.lines("database_unusable")} >= {
            "SELECT: permission denied for table quotes; grant this to the role, as in docs/database.md"
        }
        # Readiness reads schema_migrations only, so these are the metrics that show it.
        until(lambda: server.total("database_up") == 1, 10)
        before = server.total("database_errors_total", kind="permission")
        assert listed(stub)[1]
        assert server.total("database_errors_total", kind="permission") > before
        assert server.total("database_stale_seconds") == 0
        postgresql.run("REVOKE SELECT ON schema_migrations FROM stranger", database="rights")
        [line] = until(lambda: server.lines("database_down"), 20)
        assert line["problem"].startswith("SELECT: permission denied for table schema_migrations; grant")


def test_a_schema_of_sqlite_that_is_not_there_leaves_the_file(tmp_path: Path) -> None:
    with (
        running((QUOTES,), database_url=f"sqlite:///{tmp_path}/new.db") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        assert listed(stub) == (list(FILE), True)
        check_refused(stub, "the database does not have the schema of this server; retry later")


def check_refused(stub: Any, message: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        add(stub)
    error: Any = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, message)
