"""The Quoter: random quotes, lists of quotes, and quotes that clients add."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from app.core.database import Database, Schema
from app.core.service import Service
from app.gen import quote_service_pb2, quote_service_pb2_grpc
from app.services.quotes import commands, rules
from app.services.quotes.quotes import parse_quotes
from app.services.quotes.quotes_settings import QuotesSettings
from app.services.quotes.servicer import Quoter

EMBEDDED = Path(__file__).with_name("quotes.txt")

# Seconds: how often the merge looks at the file, and how long a start waits for the first one.
_LOOK = 0.5
_FIRST_MERGE = 1.0


@contextmanager
def open_service(settings: QuotesSettings, database: Database | None) -> Iterator[Quoter]:
    # Only a server needs these; the command line, which completes words while one types, starts without.
    from app.reload.file import WatchedFile
    from app.reload.ticker import Ticker
    from app.services.quotes.database_store import DatabaseStore
    from app.services.quotes.file_merge import FileMerge
    from app.services.quotes.file_store import FileStore
    from app.services.quotes.shared_store import SharedStore

    with WatchedFile(settings.quotes_file or EMBEDDED, parse_quotes) as file:
        if database is None:
            yield Quoter(FileStore(lambda: file.value))
            return
        stored = DatabaseStore(database)
        merge = FileMerge(lambda: file.value, stored.merge)
        first = Thread(target=merge.look, name="merge quotes first", daemon=True)
        first.start()
        first.join(_FIRST_MERGE)
        with Ticker("merge quotes", _LOOK, merge.look):
            yield Quoter(SharedStore(stored, lambda: file.value, merge.done))


QUOTES = Service(
    descriptor=quote_service_pb2.DESCRIPTOR.services_by_name["Quoter"],
    add_to_server=quote_service_pb2_grpc.add_QuoterServicer_to_server,
    settings=QuotesSettings,
    schema=Schema(name="quotes", migrations=Path(__file__).with_name("migrations")),
    open_stored=open_service,
    rules=rules.RULES,
    commands=(commands.get, commands.list_, commands.add, commands.converse),
)
