"""The Quoter over the wire."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from app.client.retries import safe_to_repeat
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes import EMBEDDED, QUOTES
from app.services.quotes.quotes import Quote, parse_quotes
from tests.support.clients.status import code, violations
from tests.support.servers.server import Server, running
from tests.support.waiting import until

EMBEDDED_QUOTES = parse_quotes(EMBEDDED.read_bytes())


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return quote_service_pb2_grpc.QuoterStub(channel)


def listed(stub: Any, author: str = "", limit: int = 0) -> list[Quote]:
    replies = stub.ListQuotes(pb.ListQuotesRequest(author=author, limit=limit), timeout=5)
    return [Quote(reply.quote, reply.author) for reply in replies]


def additions(*quotes: tuple[str, str]) -> Iterator[pb.AddQuotesRequest]:
    return (pb.AddQuotesRequest(quote=text, author=author) for text, author in quotes)


def test_an_author_is_quoted_and_an_unknown_or_missing_one_gives_way_to_any(stub: Any) -> None:
    for author in ("Mark Twain", "", "Nobody at all"):
        reply = stub.GetQuote(pb.QuoteRequest(author=author), timeout=5)
        assert Quote(reply.quote, reply.author) in EMBEDDED_QUOTES
        assert reply.author == "Mark Twain" or author != "Mark Twain"


def test_a_listing_has_everything_in_order_or_an_authors_or_as_many_as_are_asked_for(stub: Any) -> None:
    assert listed(stub) == list(EMBEDDED_QUOTES)
    twain = [quote for quote in EMBEDDED_QUOTES if quote.author == "Mark Twain"]
    assert listed(stub, "Mark Twain") == twain
    assert listed(stub, "Mark Twain", 2) == twain[:2]
    assert listed(stub, "Nobody at all") == []


def test_added_quotes_are_listed_and_quoted_from_then_on(stub: Any) -> None:
    reply = stub.AddQuotes(additions(("one", "Me"), (" one ", " Me "), ("two", "Me")), timeout=5)
    assert reply.added == 2
    assert listed(stub, "Me") == [Quote("one", "Me"), Quote("two", "Me")]
    assert stub.GetQuote(pb.QuoteRequest(author="Me"), timeout=5).author == "Me"
    assert stub.AddQuotes(additions(("two", "Me")), timeout=5).added == 0


def test_without_a_database_quotes_are_served_and_none_is_added() -> None:
    with running((QUOTES,)) as server, grpc.insecure_channel(server.target) as channel:
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.AddQuotes(additions(("one", "Me")), timeout=5)
        assert code(caught.value) is grpc.StatusCode.FAILED_PRECONDITION
        assert "set APP_DATABASE_URL to postgresql://" in str(caught.value)
        assert listed(stub) == list(EMBEDDED_QUOTES)


def test_a_stream_that_its_client_does_not_finish_adds_none_of_its_quotes(stub: Any, server: Server) -> None:
    leave = threading.Event()

    def requests() -> Iterator[pb.AddQuotesRequest]:
        yield from additions(("one", "Me"), ("two", "Me"))
        leave.wait(5)

    call = stub.AddQuotes.future(requests(), timeout=5)
    until(lambda: server.total("grpc_server_msg_received_total", grpc_method="AddQuotes") == 2)
    call.cancel()
    leave.set()
    until(lambda: server.handled().get(("quotes.Quoter", "AddQuotes", "Canceled")) == 1)
    assert listed(stub, "Me") == []


def test_a_stream_that_is_too_large_adds_none_of_its_quotes(stub: Any) -> None:
    long = ["é" * 1990 + str(number) for number in range(1000)]
    with pytest.raises(grpc.RpcError) as caught:
        stub.AddQuotes(additions(*((text, "Me") for text in long)), timeout=5)
    assert code(caught.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "more than 1048576 bytes in all" in str(caught.value)
    assert stub.AddQuotes(additions(*((text, "Me") for text in long[:200])), timeout=5).added == 200


def test_a_stream_with_a_wrong_quote_adds_none_of_its_quotes(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.AddQuotes(additions(("one", "Me"), ("", "a~b")), timeout=5)
    assert code(caught.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(caught.value) == [
        ("quote", "must not be empty"),
        ("author", "must not contain ~, which separates quote and author"),
    ]
    assert listed(stub, "Me") == []


def test_a_stream_that_is_too_long_to_keep_is_refused(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.AddQuotes(additions(*((str(number), "Me") for number in range(1001))), timeout=20)
    assert code(caught.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert listed(stub, "Me") == []


def test_a_conversation_answers_each_request_before_the_next(stub: Any) -> None:
    asked: list[str] = []

    def requests() -> Iterator[pb.ConverseRequest]:
        for author in ("Mark Twain", "Jane Austen", "Mark Twain"):
            asked.append(author)
            yield pb.ConverseRequest(author=author)

    for number, reply in enumerate(stub.Converse(requests(), timeout=5)):
        assert reply.author == asked[number]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda stub: stub.GetQuote(pb.QuoteRequest(author="x" * 201)), "author"),
        (lambda stub: stub.GetQuote(pb.QuoteRequest(author="a\nb")), "author"),
        (lambda stub: list(stub.ListQuotes(pb.ListQuotesRequest(author="a\x00"))), "author"),
        (lambda stub: list(stub.ListQuotes(pb.ListQuotesRequest(limit=-1))), "limit"),
        (lambda stub: stub.AddQuotes(additions(("x" * 2001, "Me"))), "quote"),
        (lambda stub: stub.AddQuotes(additions(("line\nbreak", "Me"))), "quote"),
        (lambda stub: list(stub.Converse(iter([pb.ConverseRequest(author="a\tb")]))), "author"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(stub: Any, call: Any, field: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(stub)
    assert code(caught.value) is grpc.StatusCode.INVALID_ARGUMENT
    [(name, description)] = violations(caught.value)
    assert name == field
    assert description


def test_every_method_but_add_quotes_is_safe_to_repeat() -> None:
    unsafe = {method.name for method in QUOTES.descriptor.methods if not safe_to_repeat(method)}
    assert unsafe == {"AddQuotes"}
