"""The Quoter: one method of each arity."""

from collections.abc import Iterator
from itertools import islice

import grpc

from app.core.errors import InvalidArgument
from app.core.stream_size import bounded
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes.quotes import Quote
from app.services.quotes.store import QuoteStore

# Quotes in one stream, and their bytes: all are kept in memory until it is complete.
MAX_IN_STREAM = 1000
MAX_STREAM_BYTES = 1024 * 1024


class Quoter(quote_service_pb2_grpc.QuoterServicer):
    """Messages have passed the rules (rules.py); a stream that is cut short raises from its iterator."""

    def __init__(self, store: QuoteStore) -> None:
        self._store = store

    def GetQuote(self, request: pb.QuoteRequest, context: grpc.ServicerContext) -> pb.QuoteReply:
        quote = self._store.pick(request.author)
        return pb.QuoteReply(quote=quote.text, author=quote.author)

    def ListQuotes(
        self, request: pb.ListQuotesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ListQuotesResponse]:
        for quote in islice(self._store.all(request.author), request.limit or None):
            yield pb.ListQuotesResponse(quote=quote.text, author=quote.author)

    def AddQuotes(
        self, request_iterator: Iterator[pb.AddQuotesRequest], context: grpc.ServicerContext
    ) -> pb.AddQuotesResponse:
        quotes: list[Quote] = []
        for request in bounded(request_iterator, MAX_STREAM_BYTES):
            if len(quotes) == MAX_IN_STREAM:
                raise InvalidArgument(f"too many quotes in one stream (limit {MAX_IN_STREAM})")
            quotes.append(Quote(request.quote.strip(), request.author.strip()))
        return pb.AddQuotesResponse(added=self._store.add(quotes))

    def Converse(
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        for request in request_iterator:
            quote = self._store.pick(request.author)
            yield pb.ConverseResponse(quote=quote.text, author=quote.author)
