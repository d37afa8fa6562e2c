"""The Quoter on PostgreSQL behind PgBouncer in the mode `transaction`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import grpc
import pytest

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes import EMBEDDED, QUOTES
from app.services.quotes.quotes import Quote, parse_quotes
from tests.support.clients.status import outcome
from tests.support.servers.databases import apply_migrations
from tests.support.servers.pgbouncer import NEEDS_PGBOUNCER, PgBouncer, pgbouncer
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres
from tests.support.servers.server import running
from tests.support.waiting import until

pytestmark = [NEEDS_POSTGRES, NEEDS_PGBOUNCER]

FILE = list(parse_quotes(EMBEDDED.read_bytes()))
STREAM = 3


@pytest.fixture
def bouncer(postgresql: Postgres) -> Iterator[PgBouncer]:
    with pgbouncer(postgresql) as started:
        yield started


@pytest.fixture
def stub(postgresql: Postgres, bouncer: PgBouncer) -> Iterator[Any]:
    """A server on a new database, whose quotes file is merged."""
    postgresql.run("DROP DATABASE IF EXISTS behind_pgbouncer", database="postgres")
    postgresql.run("CREATE DATABASE behind_pgbouncer", database="postgres")
    url = bouncer.url_of("behind_pgbouncer")
    apply_migrations(url, [QUOTES])
    # Writers wait for each other as long as a busy machine may take.
    with (
        running((QUOTES,), database_url=url, database_pool_wait=30) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        until(lambda: server.lines("quotes_merged"), 20)
        yield quote_service_pb2_grpc.QuoterStub(channel)


def add(stub: Any, *quotes: Quote) -> int:
    requests = (pb.AddQuotesRequest(quote=quote.text, author=quote.author) for quote in quotes)
    return int(stub.AddQuotes(requests, timeout=30).added)


def listed(stub: Any, author: str = "") -> Iterator[Quote]:
    for reply in stub.ListQuotes(pb.ListQuotesRequest(author=author), timeout=30):
        yield Quote(reply.quote, reply.author)


def streams(author: str) -> list[list[Quote]]:
    return [[Quote(f"{number} {one}", author) for one in range(STREAM)] for number in range(10)]


def test_what_clients_add_at_the_same_time_is_kept_whole_and_once(stub: Any) -> None:
    authors = [f"author {number}" for number in range(6)]

    def write(author: str) -> int:
        return sum(add(stub, *stream) for stream in streams(author) * 2)  # each is repeated

    with ThreadPoolExecutor(len(authors)) as threads:
        added = list(threads.map(write, authors))
    assert added == [10 * STREAM] * len(authors)
    for author in authors:
        assert list(listed(stub, author)) == [quote for stream in streams(author) for quote in stream]
        assert stub.GetQuote(pb.QuoteRequest(author=author), timeout=30).author == author


def test_a_listing_has_what_was_there_when_it_began_and_keeps_no_connection(stub: Any) -> None:
    many = [Quote(str(number), "Ann") for number in range(900)]
    assert add(stub, *many) == len(many)
    listings = [listed(stub) for _ in range(4)]  # more than PgBouncer has connections
    begun = [list(islice(listing, 1)) for listing in listings]
    assert add(stub, Quote("later", "Ann")) == 1
    for first, rest in zip(begun, listings, strict=True):
        assert first + list(rest) == FILE + many


def test_a_restart_of_pgbouncer_loses_nothing(stub: Any, bouncer: PgBouncer) -> None:
    mine = Quote("one", "Me")
    assert add(stub, mine) == 1
    bouncer.stop()
    assert outcome(lambda: add(stub, mine)) is grpc.StatusCode.UNAVAILABLE
    bouncer.start()
    until(lambda: outcome(lambda: add(stub, mine)) is grpc.StatusCode.OK, 10)
    assert list(listed(stub)) == [*FILE, mine]
