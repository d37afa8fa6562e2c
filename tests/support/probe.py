"""A service with a method of each arity whose handlers do what a test tells them to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import grpc

from app.core.code import CODE_LABELS
from app.core.errors import FieldViolation
from app.core.service import Service
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from tests.support.server import Server, running

Request = pb.QuoteRequest | pb.ListQuotesRequest | pb.AddQuotesRequest | pb.ConverseRequest

# A method of each arity, and how a client calls it with one request, to the end.
CALLS: dict[str, Callable[..., Any]] = {
    "GetQuote": lambda stub, **how: stub.GetQuote(pb.QuoteRequest(author="a"), **how),
    "ListQuotes": lambda stub, **how: list(stub.ListQuotes(pb.ListQuotesRequest(author="a"), **how)),
    "AddQuotes": lambda stub, **how: stub.AddQuotes(iter([pb.AddQuotesRequest(author="a")]), **how),
    "Converse": lambda stub, **how: list(stub.Converse(iter([pb.ConverseRequest(author="a")]), **how)),
}
TYPES = {
    "GetQuote": "unary",
    "ListQuotes": "server_stream",
    "AddQuotes": "client_stream",
    "Converse": "bidi_stream",
}


class Probe(quote_service_pb2_grpc.QuoterServicer):
    """`on_call(request or iterator, context)` runs in every handler; streams then send two replies.

    `between` runs in streams between the two replies.
    """

    def __init__(self) -> None:
        self.on_call: Callable[[Any, Any], object] = _read
        self.between: Callable[[Any], object] = lambda _context: None

    def GetQuote(self, request: pb.QuoteRequest, context: grpc.ServicerContext) -> pb.QuoteReply:  # noqa: N802
        self.on_call(request, context)
        return pb.QuoteReply(quote="q")

    def AddQuotes(  # noqa: N802
        self, request_iterator: Iterator[pb.AddQuotesRequest], context: grpc.ServicerContext
    ) -> pb.AddQuotesResponse:
        self.on_call(request_iterator, context)
        return pb.AddQuotesResponse(added=1)

    def ListQuotes(  # noqa: N802
        self, request: pb.ListQuotesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ListQuotesResponse]:
        self.on_call(request, context)
        yield pb.ListQuotesResponse(quote="q")
        self.between(context)
        yield pb.ListQuotesResponse(quote="q")

    def Converse(  # noqa: N802
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        self.on_call(request_iterator, context)
        yield pb.ConverseResponse(quote="q")
        self.between(context)
        yield pb.ConverseResponse(quote="q")


def _read(requests: Any, _context: Any) -> None:
    """Reads the client's stream to its end, if it is one."""
    if not isinstance(requests, Request):
        for _ in requests:
            pass


def _rule(request: Request) -> Iterator[FieldViolation]:
    if request.author == "wrong":
        yield FieldViolation("author", "anything but wrong")


def probe_service(probe: Probe) -> Service[Any]:
    return Service(
        descriptor=pb.DESCRIPTOR.services_by_name["Quoter"],
        add_to_server=quote_service_pb2_grpc.add_QuoterServicer_to_server,
        open=lambda _settings: nullcontext(probe),
        rules=dict.fromkeys(TYPES, _rule),
    )


def seen(server: Server) -> list[tuple[str, str]]:
    """Method and code of each call, as span, metric and log line have it; fails where they disagree."""
    logged = sorted((line["method"], line["code"]) for line in server.calls())
    counted = sorted(
        (method, code) for (_, method, code), count in server.handled().items() for _ in range(round(count))
    )
    traced = sorted(
        ((span.attributes or {})["rpc.method"], (span.attributes or {})["rpc.grpc.status_code"])
        for span in server.spans
    )
    numbers = {label: code.value[0] for code, label in CODE_LABELS.items()}
    assert logged == counted
    assert sorted((method, numbers[code]) for method, code in logged) == traced
    return logged


class Probed:
    """A server with the probe, and a stub for it."""

    def __init__(self, server: Server, probe: Probe, channel: grpc.Channel) -> None:
        self.server = server
        self.probe = probe
        self.channel: Any = channel
        self.stub: Any = quote_service_pb2_grpc.QuoterStub(channel)

    def seen(self) -> list[tuple[str, str]]:
        return seen(self.server)


@contextmanager
def probed(
    probe: Probe | None = None,
    *,
    open_channel: Callable[[str], grpc.Channel] = grpc.insecure_channel,
    **how: Any,
) -> Iterator[Probed]:
    """`open_channel` is given the server's target."""
    probe = probe or Probe()
    channels: list[grpc.Channel] = []
    try:
        with running([probe_service(probe)], **how) as server:
            channels.append(open_channel(server.target))
            yield Probed(server, probe, channels[0])
    finally:
        # After the server: closing a channel cancels its calls, and the drain is to see them.
        for channel in channels:
            channel.close()
