"""What is served while the database cannot be reached."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.core.database import Connection, Database, Dialect
from app.core.errors import StatusError
from app.core.metadata import Metadata
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes import QUOTES, open_service
from app.services.quotes.database_store import PAGE, DatabaseStore
from app.services.quotes.quotes import Quote
from app.services.quotes.shared_store import STALE, SharedStore
from tests.support.clients.status import code
from tests.support.servers.server import running
from tests.support.waiting import until

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")


class Breakable:
    """A database that fails with `error` while that is set, such as after `good_readings` more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect: Dialect = database.dialect
        self.error: Exception | None = None
        self.good_readings: int | None = None
        self.write_error: Exception | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if self.good_readings == 0:
            self.error = UNAVAILABLE
        elif self.good_readings is not None:
            self.good_readings -= 1
        if self.error is not None:
            raise self.error
        with self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if error := self.error or self.write_error:
            raise error
        with self._database.writing() as connection:
            yield connection


UNAVAILABLE = StatusError("the database is away", code=grpc.StatusCode.UNAVAILABLE)


@pytest.fixture
def breakable(database: Database) -> Breakable:
    return Breakable(database)


@contextmanager
def served(breakable: Breakable, tmp_path: Path) -> Iterator[Any]:
    """The Quoter of a server with that database, and a file with one quote, which is merged if it can be."""
    file = tmp_path / "quotes.txt"
    file.write_text(f"{ANN}\n")
    service = replace(QUOTES, open_stored=lambda settings, _: open_service(settings, breakable))
    with (
        running((service,), quotes_file=file) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        if not breakable.error and not breakable.write_error:
            until(lambda: server.lines("quotes_merged"), 20)
        yield quote_service_pb2_grpc.QuoterStub(channel)


@pytest.fixture
def stub(breakable: Breakable, tmp_path: Path) -> Iterator[Any]:
    with served(breakable, tmp_path) as started:
        yield started


def add(stub: Any, *quotes: Quote) -> int:
    requests = (pb.AddQuotesRequest(quote=quote.text, author=quote.author) for quote in quotes)
    return int(stub.AddQuotes(requests, timeout=20).added)


def get(stub: Any, author: str = "") -> tuple[Quote, Metadata]:
    reply, call = stub.GetQuote.with_call(pb.QuoteRequest(author=author), timeout=20)
    return Quote(reply.quote, reply.author), call.trailing_metadata()


def listed(stub: Any, author: str = "") -> tuple[list[Quote], Metadata]:
    call = stub.ListQuotes(pb.ListQuotesRequest(author=author), timeout=20)
    return [Quote(reply.quote, reply.author) for reply in call], call.trailing_metadata()


def stale(trailers: Metadata) -> str | bytes | None:
    return dict(trailers).get(STALE)


def test_reads_of_the_database_are_not_stale(stub: Any) -> None:
    add(stub, BOB, EVE)
    quotes, trailers = listed(stub)
    assert quotes == [ANN, BOB, EVE]
    assert stale(trailers) is None
    assert stale(get(stub)[1]) is None


def test_reads_are_answered_by_the_file_and_by_what_was_read_last(breakable: Breakable, stub: Any) -> None:
    add(stub, BOB, EVE)
    assert get(stub, "Eve")[0] == EVE
    breakable.error = UNAVAILABLE
    quotes, trailers = listed(stub)
    assert quotes == [ANN, EVE]
    assert stale(trailers) == "0"
    assert get(stub, "Eve")[0] == EVE
    assert get(stub, "Nobody")[0] in {ANN, EVE}
    call = stub.Converse(iter([pb.ConverseRequest(author="Eve")] * 3), timeout=20)
    assert [reply.author for reply in call] == ["Eve"] * 3
    assert [key for key, _ in call.trailing_metadata()].count(STALE) == 1

    breakable.error = None
    quotes, trailers = listed(stub)
    assert quotes == [ANN, BOB, EVE]
    assert stale(trailers) is None


def test_the_seconds_since_the_last_read_are_counted(breakable: Breakable, stub: Any) -> None:
    get(stub)
    breakable.error = UNAVAILABLE
    time.sleep(1.05)
    seconds = stale(get(stub)[1])
    assert seconds is not None
    assert int(seconds) >= 1


def test_nothing_is_added(breakable: Breakable, stub: Any) -> None:
    breakable.error = UNAVAILABLE
    with pytest.raises(grpc.RpcError, match="the database is away") as caught:
        add(stub, BOB)
    assert code(caught.value) is grpc.StatusCode.UNAVAILABLE
    breakable.error = None
    assert listed(stub)[0] == [ANN]
    assert add(stub, BOB) == 1


def test_another_error_of_the_database_is_the_clients_and_not_hidden(breakable: Breakable, stub: Any) -> None:
    breakable.error = StatusError("no connection is free", code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    for call in (get, listed):
        with pytest.raises(grpc.RpcError, match="no connection is free") as caught:
            call(stub)
        assert code(caught.value) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_listing_that_has_begun_ends_with_the_error_rather_than_in_the_file(
    breakable: Breakable, stub: Any
) -> None:
    add(stub, *(Quote(str(number), "Bob") for number in range(900)))
    breakable.good_readings = 3  # up to which id, and two pages
    received: list[str] = []
    with pytest.raises(grpc.RpcError, match="the database is away"):
        received.extend(reply.author for reply in stub.ListQuotes(pb.ListQuotesRequest(), timeout=20))
    assert received == ["Ann", *["Bob"] * (2 * PAGE - 1)]


def test_a_server_starts_without_its_database_and_merges_the_file_when_it_comes(
    breakable: Breakable, tmp_path: Path
) -> None:
    breakable.error = UNAVAILABLE
    with served(breakable, tmp_path) as started:
        assert listed(started)[0] == [ANN]
        breakable.error = None
        store = DatabaseStore(breakable)
        until(lambda: list(store.all("")) == [ANN], 20)


@pytest.mark.parametrize("stored", [[], [EVE], [BOB, EVE]])
def test_the_file_is_served_beside_the_database_until_it_is_merged(
    breakable: Breakable, tmp_path: Path, stored: list[Quote]
) -> None:
    DatabaseStore(breakable).add(stored)
    breakable.write_error = StatusError("its disk is full", code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    with served(breakable, tmp_path) as started:
        quotes, trailers = listed(started)
        assert quotes == [*stored, ANN]
        assert stale(trailers) is None
        assert listed(started, "Ann")[0] == [quote for quote in [*stored, ANN] if quote.author == "Ann"]
        assert listed(started, "Nobody")[0] == []
        assert get(started, "Ann")[0].author == "Ann"
        assert get(started, "Nobody")[0] in {*stored, ANN}
        breakable.write_error = None
        until(lambda: list(DatabaseStore(breakable).all("")) == [*stored, ANN], 20)
        assert listed(started)[0] == [*stored, ANN]


def test_a_part_of_the_file_that_is_merged_is_listed_once(database: Database) -> None:
    stored = DatabaseStore(database)
    stored.add([BOB, ANN])
    file = (ANN, EVE, BOB)
    store = SharedStore(stored, lambda: file, merged=lambda: False)
    assert list(store.all("")) == [BOB, ANN, EVE]
    assert list(store.all("Ann")) == [BOB, ANN]
    assert list(SharedStore(stored, lambda: file, merged=lambda: True).all("")) == [BOB, ANN]
