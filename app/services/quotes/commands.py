"""The Quoter's commands."""

import os
import queue
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import grpc
import typer

from app.core.errors import UsageError
from app.core.lines import text_lines
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes.quotes import Quote, parse_quotes

# What a conversation may take, in seconds: it lasts as long as somebody types, or until the server ends it.
_LONGEST = 86_400.0


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
        _print(stub.GetQuote(pb.QuoteRequest(author=author)))


def list_(
    channel: grpc.Channel,
    author: Annotated[
        str, typer.Argument(help="Whose quotes; everybody's when left out.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="At most this many; 0 for all.")] = 0,
) -> None:
    """Print every quote, a `quote ~ author` line each."""
    stub = quote_service_pb2_grpc.QuoterStub(channel)
    for reply in stub.ListQuotes(pb.ListQuotesRequest(author=author, limit=limit)):
        _print(reply)


def add(
    channel: grpc.Channel,
    quotes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="'QUOTE ~ AUTHOR'",
            help="The quotes; without any, lines are read from standard input.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with one `quote ~ author` a line.", show_default=False)
    ] = None,
) -> None:
    """Add quotes, all or none of them, and print how many were new."""
    given = _given(quotes or [], file)
    stub = quote_service_pb2_grpc.QuoterStub(channel)
    added = stub.AddQuotes(pb.AddQuotesRequest(quote=one.text, author=one.author) for one in given).added
    known = f", {len(given) - added} known already" if added < len(given) else ""
    print(f"{added} added{known}")


def _given(arguments: list[str], file: Path | None) -> list[Quote]:
    """Raises UsageError, which says where it is wrong."""
    if arguments and file is not None:
        raise UsageError("name quotes or a --file, not both")
    if arguments:
        return [quote for text in arguments for quote in _parsed(os.fsencode(text), repr(text))]
    if file is not None:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UsageError(f"--file: {file}: {error.strerror}") from None
        return _parsed(content, str(file))
    if sys.stdin.isatty():
        sys.stderr.write("A quote ~ author a line, and Ctrl-D at the end:\n")
    try:
        content = sys.stdin.buffer.read()
    except OSError as error:  # a directory, for one
        raise UsageError(f"standard input: {error.strerror}") from None
    return _parsed(content, "standard input")


def _parsed(content: bytes, source: str) -> list[Quote]:
    try:
        return list(parse_quotes(content))
    except ValueError as error:
        wrong = str(error) if b"\n" in content else str(error).removeprefix("line 1: ")
        raise UsageError(f"{source}: {wrong}") from None


def converse(channel: grpc.Channel) -> None:
    """Answer each line, which names an author, with a quote, until the lines end (Ctrl-D)."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    requests = (pb.ConverseRequest(author=author) for author in iter(lines.get, None))
    replies = quote_service_pb2_grpc.QuoterStub(channel).Converse(requests, timeout=_LONGEST)
    try:
        for line in _lines():
            lines.put(line.strip())
            reply = next(replies, None)
            if reply is None:  # the server has had enough
                return
            _print(reply)
            sys.stdout.flush()  # another program may be reading what it will answer
    finally:
        lines.put(None)  # grpc's thread waits for it
    for _ in replies:  # none: but an error would come now
        pass


def _lines() -> Iterator[str]:
    """Those of standard input; asked for one by one on a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield from text_lines(sys.stdin)
        return
    with suppress(ImportError):  # not every Python has it; with it, one can edit a line
        import readline  # noqa: F401, PLC0415 - `input` uses it once it is imported
    print("Name an author, or nobody; Ctrl-D ends.")
    while True:
        try:
            yield input("> ")
        except (EOFError, KeyboardInterrupt) as error:
            print()  # so that the shell's prompt gets a line of its own
            if isinstance(error, EOFError):
                return
            raise


def _print(reply: pb.QuoteReply | pb.ListQuotesResponse | pb.ConverseResponse) -> None:
    print(Quote(reply.quote, reply.author))
