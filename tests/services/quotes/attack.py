"""Attacks on what the quotes keep: streams of quotes that are not closed, and a long file of quotes."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.gen.quote_service_pb2 import AddQuotesRequest
from tests.attack.attack import Attack, Bound
from tests.attack.process import Place, Report, by
from tests.attack.subject import CHART, OURS, Prepared, Victim
from tests.attack.upload import upload


def long_quotes(at: Place, streams: int, quotes: int, length: int) -> Report:
    """Streams of long quotes, each of them another, that are not closed."""
    messages = (
        AddQuotesRequest(quote=f"{number} ".ljust(length, "y"), author="y").SerializeToString()
        for number in range(quotes)
    )
    content = b"".join(struct.pack(">BI", 0, len(message)) + message for message in messages)
    return upload(at, "/quotes.Quoter/AddQuotes", content, streams)


@contextmanager
def with_a_file(folder: Path) -> Iterator[Prepared]:
    (folder / "quotes").write_text("a quote ~ its author\n")
    yield Prepared({"APP_QUOTES_FILE": str(folder / "quotes")})


@contextmanager
def long_file(victim: Victim, _seconds: float) -> Iterator[Report]:
    """A file of 2 GB, none of which is on the disk."""
    os.truncate(victim.folder / "quotes", 2 << 30)
    yield {}


ADDING = by(long_quotes, streams=100, quotes=1000, length=1990)

ATTACKS = (
    Attack(
        "9",
        "100 `AddQuotes` streams of 1,000 long quotes each",
        ADDING,
        Bound(ok=0.99, slower=250, more=300, threads=150),
        subject=CHART,
        against_bare=False,
    ),
    Attack(
        "12",
        "a quotes file of 2 GB",
        long_file,
        Bound(more=50),
        subject=OURS,
        against_bare=False,
        prepare=with_a_file,
    ),
)
