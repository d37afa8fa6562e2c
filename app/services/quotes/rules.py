"""Rules for the requests of the Quoter."""

from collections.abc import Iterator

from app.core.errors import FieldViolation
from app.core.service import Rule
from app.gen.quote_service_pb2 import AddQuotesRequest, ConverseRequest, ListQuotesRequest, QuoteRequest
from app.services.quotes.quotes import MAX_QUOTE, author_problem, text_problem


def author(request: QuoteRequest | ConverseRequest) -> Iterator[FieldViolation]:
    if problem := author_problem(request.author):
        yield FieldViolation("author", problem)


def listing(request: ListQuotesRequest) -> Iterator[FieldViolation]:
    if problem := author_problem(request.author):
        yield FieldViolation("author", problem)
    if request.limit < 0:
        yield FieldViolation("limit", "must not be negative: 0 for all quotes, or the maximum number")


def addition(request: AddQuotesRequest) -> Iterator[FieldViolation]:
    if problem := _present(request.quote) or text_problem(request.quote, MAX_QUOTE):
        yield FieldViolation("quote", problem)
    if problem := _present(request.author) or author_problem(request.author):
        yield FieldViolation("author", problem)


def _present(text: str) -> str:
    return "" if text.strip() else "must not be empty"


RULES: dict[str, Rule] = {
    "GetQuote": author,
    "ListQuotes": listing,
    "AddQuotes": addition,
    "Converse": author,
}
