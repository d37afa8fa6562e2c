"""The Quoter: random quotes, lists of quotes, and quotes that clients add."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.service import Service
from app.gen import quote_service_pb2, quote_service_pb2_grpc
from app.services.quotes import commands, rules
from app.services.quotes.quotes import parse_quotes
from app.services.quotes.quotes_settings import QuotesSettings
from app.services.quotes.servicer import Quoter
from app.services.quotes.store import MemoryStore

EMBEDDED = Path(__file__).with_name("quotes.txt")


@contextmanager
def open_service(settings: QuotesSettings) -> Iterator[Quoter]:
    # Only a server needs it; the command line, which completes words while one types, starts without.
    from app.reload.file import WatchedFile

    with WatchedFile(settings.quotes_file or EMBEDDED, parse_quotes) as file:
        yield Quoter(MemoryStore(lambda: file.value))


QUOTES = Service(
    descriptor=quote_service_pb2.DESCRIPTOR.services_by_name["Quoter"],
    add_to_server=quote_service_pb2_grpc.add_QuoterServicer_to_server,
    settings=QuotesSettings,
    open=open_service,
    rules=rules.RULES,
    commands=(commands.get, commands.list_, commands.add, commands.converse),
)
