"""Whether a history is one of a store that keeps what it acknowledges.

Batches are added one after the other, so at any moment the store holds the first so many batches of the log:
of what it holds in the end, in order. Each answer bounds that number: a listing of an author that ends with
the quote of one batch, and lacks that of a later one, was made between the two. An answer is right if its
bounds leave a number which is not smaller than what was known before the call began. That is all there is to
real-time order, for reads of any client on any server.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from tests.services.quotes.history.operations import Add, Get, Listing, Operation, Outcome, Quote


class Row(NamedTuple):
    """A quote as it is stored in the end."""

    id: int
    number: int  # among those of its author
    quote: Quote


class Anomaly(NamedTuple):
    kind: str
    text: str


class Bounds(NamedTuple):
    """How many batches there were, by one answer.

    `most` when the call began, `least` when it ended: what adds a batch makes one more of them.
    """

    operation: Operation
    least: float
    most: float


@dataclass
class Log:
    """What is stored in the end."""

    batches: list[int] = field(default_factory=list)
    place: dict[int, int] = field(default_factory=dict)  # of a batch among the others
    quotes: dict[str, list[Quote]] = field(default_factory=lambda: defaultdict(list))
    batch: dict[Quote, int] = field(default_factory=dict)


class Checker:
    def __init__(self, quotes_of: Callable[[int], Sequence[Quote]]) -> None:
        """`quotes_of` returns the quotes of a batch."""
        self._quotes_of = quotes_of
        self._log = Log()
        self._sent: dict[Quote, int] = {}

    def check(self, operations: Sequence[Operation], rows: Sequence[Row]) -> Iterator[Anomaly]:
        """`rows` are in the order of their ids, and hold the first batch before any operation."""
        attempts: dict[int, list[Add]] = defaultdict(list)
        for operation in operations:
            if isinstance(operation, Add):
                attempts[operation.batch].append(operation)
        first = [self._batch_of(row.quote) for row in rows[:1]]
        self._sent = {quote: batch for batch in [*first, *attempts] for quote in self._quotes_of(batch)}
        yield from self._stored(rows)
        for batch, several in attempts.items():
            yield from self._attempts(batch, several, batch in self._log.place)
        bounds: list[Bounds] = []
        for operation in operations:
            if isinstance(operation, Add):
                bounds += self._of_add(operation, attempts[operation.batch])
            elif operation.code == "OK":
                yield from self._answered(operation, bounds)
        yield from _real_time(bounds)

    def _batch_of(self, quote: Quote) -> int:
        return int(quote.text.partition(".")[0])

    def _stored(self, rows: Sequence[Row]) -> Iterator[Anomaly]:
        """Reads the log."""
        log = self._log
        for expected, row in enumerate(rows):
            of_author = log.quotes[row.quote.author]
            if row.id != expected or row.number != len(of_author):
                yield Anomaly("gap", f"{row} is not at place {expected}, {len(of_author)} of its author")
            if row.quote in log.batch:
                yield Anomaly("twice", f"{row} is stored before, too")
                continue
            of_author.append(row.quote)
            batch = self._sent.get(row.quote)
            if batch is None:
                yield Anomaly("invented", f"nobody has sent {row}")
                continue
            log.batch[row.quote] = batch
            if not log.batches or log.batches[-1] != batch:
                if batch in log.place:
                    yield Anomaly("torn", f"others are stored between the quotes of batch {batch}")
                log.place.setdefault(batch, len(log.batches))
                log.batches.append(batch)
        for batch in log.place:
            if missing := [quote for quote in self._quotes_of(batch) if quote not in log.batch]:
                yield Anomaly("torn", f"of batch {batch}, {missing} are not stored")

    def _attempts(self, batch: int, attempts: Sequence[Add], stored: bool) -> Iterator[Anomaly]:
        """What clients were told of a batch."""
        answered = [one for one in attempts if one.outcome is Outcome.OK]
        unknown = [one for one in attempts if one.outcome is Outcome.UNKNOWN]
        whole = len(self._quotes_of(batch))
        adding = [one for one in answered if one.added == whole]
        if answered and not stored:
            yield Anomaly("lost", f"batch {batch} was acknowledged: {answered[0]}")
        if stored and not answered and not unknown:
            yield Anomaly("failed, but there", f"batch {batch}: {attempts}")
        if wrong := [one for one in answered if one.added not in (0, whole)]:
            yield Anomaly("torn", f"of {whole} quotes, other than all or none were new: {wrong[0]}")
        if len(adding) > 1:
            yield Anomaly("twice", f"batch {batch} was new more than once: {adding}")
        for one in answered:
            before = [other for other in (*adding, *unknown) if other.began < one.ended]
            if one.added == 0 and not before:
                yield Anomaly("invented", f"nobody had added the batch before: {one}")

    def _of_add(self, add: Add, attempts: Sequence[Add]) -> Iterator[Bounds]:
        place = self._log.place.get(add.batch)
        if place is None or add.outcome is Outcome.FAILED:
            return
        new = [one for one in attempts if one.outcome is Outcome.OK and one.added]
        may_be_new = new or [one for one in attempts if one.outcome is Outcome.UNKNOWN]
        adds = may_be_new and add.began == min(one.began for one in may_be_new)
        yield Bounds(add, place + 1 if add.outcome is Outcome.OK else 0, place if adds else inf)

    def _answered(self, answer: Get | Listing, bounds: list[Bounds]) -> Iterator[Anomaly]:
        """Adds the bounds of an answer that can be one of the store."""
        quotes = (answer.quote,) if isinstance(answer, Get) else answer.quotes or ()
        for quote in quotes:
            if quote is None or quote not in self._sent:
                yield Anomaly("invented", f"nobody has sent {quote}: {answer}")
                return
            if quote not in self._log.batch:
                yield Anomaly("lost", f"{quote} was read, and is not there in the end: {answer}")
                return
        if answer.stale:
            return
        if isinstance(answer, Get):
            bounds.append(self._of_get(answer))
            return
        known = self._log.quotes.get(answer.author, [])
        if list(quotes) != known[: len(quotes)]:
            yield Anomaly("order", f"of {known}, the listing is not the first part: {answer}")
            return
        places = [self._place(quote) for quote in known[max(0, len(quotes) - 1) : len(quotes) + 1]]
        last = places[0] if quotes else -1
        following = places[-1] if len(known) > len(quotes) else inf
        if last == following:
            yield Anomaly("torn", f"the listing ends within batch {self._log.batches[int(last)]}: {answer}")
            return
        bounds.append(Bounds(answer, last + 1, following))

    def _of_get(self, answer: Get) -> Bounds:
        assert answer.quote is not None
        most: float = inf
        if answer.quote.author != answer.author and answer.author in self._log.quotes:
            most = self._place(self._log.quotes[answer.author][0])  # the author was not known
        return Bounds(answer, self._place(answer.quote) + 1, most)

    def _place(self, quote: Quote) -> int:
        """That of its batch; a quote that nobody sent has no bounds."""
        return self._log.place.get(self._log.batch.get(quote, -1), -1)


def _real_time(bounds: Sequence[Bounds]) -> Iterator[Anomaly]:
    """Each answer against all that ended before its call began."""
    ended = sorted(bounds, key=lambda one: one.operation.ended)
    at = 0
    least, known = 0.0, ended[0] if ended else None
    for one in sorted(bounds, key=lambda one: one.operation.began):
        while ended[at].operation.ended < one.operation.began:
            if ended[at].least > least:
                least, known = ended[at].least, ended[at]
            at += 1
        if least > one.most:
            assert known is not None
            yield Anomaly("out of date", f"{one.operation} began after {known.operation} ended")
