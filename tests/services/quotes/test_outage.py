"""A PostgreSQL that is killed under a server, and started again."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

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
