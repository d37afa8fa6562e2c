"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.quotes import QUOTES
from tests.support.wire import TEXT, arity, wire


def test_quotes_keeps_its_published_messages_fields_numbers_and_types() -> None:
    assert QUOTES.name == "quotes.Quoter"
    assert wire(QUOTES.descriptor) == {
        "GetQuote": (
            ("QuoteRequest", [("author", 1, TEXT)]),
            ("QuoteReply", [("quote", 1, TEXT), ("author", 2, TEXT)]),
        )
    }


def test_the_service_has_a_method_of_each_arity() -> None:
    assert {method.name: arity(method) for method in QUOTES.descriptor.methods} == {
        "GetQuote": "unary",
        "ListQuotes": "server",
        "AddQuotes": "client",
        "Converse": "bidi",
    }


def test_quotes_keeps_its_proto_file_name() -> None:
    assert QUOTES.descriptor.file.name == "quote_service.proto"
