"""Servers that share a database, and what they have acknowledged after one was killed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import grpc
import pytest

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes.quotes import Quote
from tests.support.servers.process import ServerProcess, server_process
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

CLIENTS = 3
# Quotes in a stream: all are kept, or none.
STREAM = 3


def server_of(database_url: str) -> AbstractContextManager[ServerProcess]:
    """A server whose writers wait for each other as long as a busy disk may take."""
    return server_process(APP_DATABASE_URL=database_url, APP_DATABASE_POOL_WAIT="30")


@contextmanager
def stub_of(server: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(server.target) as channel:
        yield quote_service_pb2_grpc.QuoterStub(channel)


def add(stub: Any, quotes: list[Quote]) -> int:
    requests = (pb.AddQuotesRequest(quote=quote.text, author=quote.author) for quote in quotes)
    return int(stub.AddQuotes(requests, timeout=30).added)


def listed(stub: Any, author: str) -> list[Quote]:
    replies = stub.ListQuotes(pb.ListQuotesRequest(author=author), timeout=30)
    return [Quote(reply.quote, reply.author) for reply in replies]


class Adder:
    """A client that adds a stream of quotes after the other, until one fails."""

    def __init__(self, name: str, server: ServerProcess) -> None:
        self.name = name
        self.asked: list[list[Quote]] = []
        self.acknowledged = 0
        self.thread = threading.Thread(target=self._add, args=(server,))
        self.thread.start()

    def _add(self, server: ServerProcess) -> None:
        with stub_of(server) as stub:
            while True:
                number = len(self.asked)
                self.asked.append([Quote(f"{number} {one}", self.name) for one in range(STREAM)])
                try:
                    added = add(stub, self.asked[-1])
                except grpc.RpcError:
                    return
                assert added == STREAM
                self.acknowledged += 1


def test_what_was_acknowledged_is_there_after_a_kill(database_url: str) -> None:
    with server_of(database_url) as server:
        adders = [Adder(f"author {number}", server) for number in range(CLIENTS)]
        until(lambda: all(adder.acknowledged >= 5 for adder in adders), 60)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        for adder in adders:
            adder.thread.join()
    with server_of(database_url) as server, stub_of(server) as stub:
        for adder in adders:
            assert len(adder.asked) == adder.acknowledged + 1
            kept = listed(stub, adder.name)
            *certain, last = adder.asked
            # The last stream was not acknowledged: it is kept whole, or not at all.
            assert kept in (
                [quote for stream in certain for quote in stream],
                [quote for stream in [*certain, last] for quote in stream],
            )
            # Repeating it makes that sure.
            assert add(stub, last) == (0 if last[0] in kept else STREAM)
            assert listed(stub, adder.name) == [quote for stream in adder.asked for quote in stream]


def test_servers_of_one_database_answer_alike(database_url: str) -> None:
    with ExitStack() as opened:
        servers = [opened.enter_context(server_of(database_url)) for _ in range(2)]
        stubs = [opened.enter_context(stub_of(server)) for server in servers]
        until(lambda: all("quotes_merged" in server.events() for server in servers), 30)
        assert add(stubs[0], [Quote("one", "Ann")]) == 1
        assert listed(stubs[1], "Ann") == [Quote("one", "Ann")]
        assert add(stubs[1], [Quote("one", "Ann"), Quote("two", "Ann")]) == 1
        assert listed(stubs[0], "Ann") == [Quote("one", "Ann"), Quote("two", "Ann")]
        assert listed(stubs[0], "") == listed(stubs[1], "")
