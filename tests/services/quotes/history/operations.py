"""What clients ask, and what they are answered, as it is recorded.

Times are nanoseconds of the system's monotonic clock, which all processes share.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

# The first batch is in the quotes file of the servers.
OF_THE_FILE = 0
# So many batches go to an author, and to one whose listing is of several pages.
_OF_AN_AUTHOR, _OF_A_LONG_AUTHOR = 6, 400
# Each batch of this many has a quote of a second author.
_WITH_A_LONG_AUTHOR = 2


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"  # certainly not applied
    UNKNOWN = "unknown"


class Quote(NamedTuple):
    text: str
    author: str


class Add(NamedTuple):
    """One attempt to add a batch."""

    began: int
    ended: int
    code: str
    outcome: Outcome
    batch: int
    added: int  # by the answer


class Get(NamedTuple):
    began: int
    ended: int
    code: str
    stale: bool  # not from the database, and marked so
    author: str
    quote: Quote | None  # None without an answer


class Listing(NamedTuple):
    began: int
    ended: int
    code: str
    stale: bool
    author: str
    quotes: tuple[Quote, ...] | None


Operation = Add | Get | Listing


def author_of(batch: int) -> str:
    return f"author {batch // _OF_AN_AUTHOR}"


def long_author_of(batch: int) -> str:
    return f"long {batch // _OF_A_LONG_AUTHOR}"


def quotes_of(batch: int) -> Sequence[Quote]:
    """The quotes of that number: two to four, with texts that no other batch has."""
    quotes = [Quote(f"{batch}.{number}", author_of(batch)) for number in range(2 + batch % 3)]
    if batch % _WITH_A_LONG_AUTHOR == 0:
        quotes[-1] = Quote(quotes[-1].text, long_author_of(batch))
    return quotes
