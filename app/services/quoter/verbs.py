"""The Quoter's commands."""

from typing import Annotated

import grpc
import typer

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quoter.quotes import Quote


def get(
    channel: grpc.Channel,
    author: Annotated[
        str, typer.Argument(help="Whose quotes; anybody's when left out.", show_default=False)
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 3,
) -> None:
    """Print random quotes, a `quote ~ author` line each."""
    stub = quote_service_pb2_grpc.QuoterStub(channel)
    for _ in range(count):
        reply = stub.GetQuote(pb.QuoteRequest(author=author))
        print(Quote(reply.quote, reply.author))  # noqa: T201 - output of a command
