"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.quotes import QUOTER
from tests.support.wire import TEXT, arity, wire


def test_the_published_method_keeps_its_messages_fields_numbers_and_types() -> None:
    assert QUOTER.name == "quotes.Quoter"
    assert wire(QUOTER.descriptor) == {
        "GetQuote": (
            ("QuoteRequest", [("author", 1, TEXT)]),
            ("QuoteReply", [("quote", 1, TEXT), ("author", 2, TEXT)]),
        )
    }


def test_the_quoter_has_a_method_of_each_arity() -> None:
    assert {method.name: arity(method) for method in QUOTER.descriptor.methods} == {
        "GetQuote": "unary",
        "ListQuotes": "server",
        "AddQuotes": "client",
        "Converse": "bidi",
    }


def test_the_file_has_the_name_that_tutorials_generate_their_stubs_from() -> None:
    assert QUOTER.descriptor.file.name == "quote_service.proto"
