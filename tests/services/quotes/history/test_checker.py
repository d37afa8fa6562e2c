"""Histories that are right, and one of each kind that is not."""

from collections.abc import Sequence
from itertools import count

import pytest

from tests.services.quotes.history.checker import Checker, Row
from tests.services.quotes.history.operations import Add, Get, Listing, Operation, Outcome, Quote

# Batch 0 is there from the start. Batch 2 has quotes of two authors.
BATCHES = {
    0: [Quote("0.0", "Zoe")],
    1: [Quote("1.0", "Ann"), Quote("1.1", "Ann")],
    2: [Quote("2.0", "Ann"), Quote("2.1", "Bob")],
    3: [Quote("3.0", "Bob"), Quote("3.1", "Bob")],
}


def rows(*batches: int) -> list[Row]:
    numbers: dict[str, count[int]] = {}
    quotes = [quote for batch in batches for quote in BATCHES[batch]]
    return [
        Row(place, next(numbers.setdefault(quote.author, count())), quote)
        for place, quote in enumerate(quotes)
    ]


def add(began: int, ended: int, batch: int, added: int = 2) -> Add:
    return Add(began, ended, "OK", Outcome.OK, batch, added)


def failed(began: int, ended: int, batch: int) -> Add:
    return Add(began, ended, "UNAVAILABLE", Outcome.FAILED, batch, 0)


def unknown(began: int, ended: int, batch: int) -> Add:
    return Add(began, ended, "DEADLINE_EXCEEDED", Outcome.UNKNOWN, batch, 0)


def got(began: int, author: str, text: str, of: str, *, stale: bool = False) -> Get:
    """It ends with the next moment."""
    return Get(began, began + 1, "OK", stale, author, Quote(text, of))


def listed(began: int, ended: int, author: str, *texts: str, stale: bool = False) -> Listing:
    return Listing(began, ended, "OK", stale, author, tuple(Quote(text, author) for text in texts))


def kinds(stored: Sequence[Row], *operations: Operation) -> list[str]:
    """The kinds of anomalies."""
    return [anomaly.kind for anomaly in Checker(BATCHES.__getitem__).check(operations, stored)]


ONE, TWO = add(10, 20, 1), add(30, 40, 2)

RIGHT: dict[str, tuple[list[Row], list[Operation]]] = {
    "nothing": (rows(0), []),
    "reads after an acknowledgement": (
        rows(0, 1),
        [ONE, listed(21, 22, "Ann", "1.0", "1.1"), got(21, "Ann", "1.1", "Ann")],
    ),
    "reads at the same time as the addition": (
        rows(0, 1),
        [ONE, listed(11, 19, "Ann"), listed(12, 18, "Ann", "1.0", "1.1"), got(12, "Ann", "0.0", "Zoe")],
    ),
    "additions at the same time, in any order": (
        rows(0, 3, 2),
        [add(10, 40, 2), add(10, 40, 3), listed(15, 16, "Bob", "3.0", "3.1")],
    ),
    "an unknown outcome that was applied": (rows(0, 1), [unknown(10, 20, 1)]),
    "an unknown outcome that was not applied": (rows(0), [unknown(10, 20, 1), listed(30, 31, "Ann")]),
    "an unknown outcome that is applied later than its call ends": (
        rows(0, 1),
        [unknown(10, 20, 1), listed(30, 31, "Ann"), listed(40, 41, "Ann", "1.0", "1.1")],
    ),
    "an unknown outcome, and a repetition that finds it": (
        rows(0, 1),
        [unknown(10, 20, 1), add(30, 40, 1, added=0)],
    ),
    "an unknown outcome, and a repetition that adds": (
        rows(0, 1),
        [unknown(10, 20, 1), listed(25, 26, "Ann"), add(30, 40, 1)],
    ),
    "a repetition at the same time": (rows(0, 1), [add(10, 40, 1, added=0), add(20, 30, 1)]),
    "a failure, and a repetition that adds": (
        rows(0, 1),
        [failed(10, 20, 1), listed(25, 26, "Ann"), add(30, 40, 1)],
    ),
    "a stale answer that is marked": (
        rows(0, 1),
        [ONE, listed(30, 31, "Ann", stale=True), got(30, "Ann", "0.0", "Zoe", stale=True)],
    ),
    "an unknown author": (rows(0, 1), [ONE, got(30, "Cid", "1.0", "Ann"), listed(30, 31, "Cid")]),
    "a call that failed says nothing": (
        rows(0, 1),
        [
            ONE,
            Listing(30, 31, "UNAVAILABLE", False, "Ann", None),
            Get(30, 31, "CANCELLED", False, "Ann", None),
        ],
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_has_no_anomaly(name: str) -> None:
    stored, operations = RIGHT[name]
    assert kinds(stored, *operations) == []


WRONG: dict[str, tuple[str, list[Row], list[Operation]]] = {
    "an acknowledged batch is not there in the end": ("lost", rows(0), [ONE]),
    "a quote that was read is not there in the end": (
        "lost",
        rows(0),
        [unknown(10, 20, 1), got(30, "Ann", "1.0", "Ann")],
    ),
    "a part of a batch is stored": ("torn", rows(0, 1)[:2], [unknown(10, 20, 1)]),
    "a batch is stored between the quotes of another": (
        "torn",
        [*rows(0, 1)[:2], Row(2, 0, BATCHES[3][0]), Row(3, 1, BATCHES[3][1]), Row(4, 1, BATCHES[1][1])],
        [unknown(10, 20, 1), unknown(10, 20, 3)],
    ),
    "a listing ends within a batch": ("torn", rows(0, 1), [ONE, listed(11, 19, "Ann", "1.0")]),
    "an answer counts a part of a batch": ("torn", rows(0, 1), [add(10, 20, 1, added=1)]),
    "a batch that is seen by one author is not by the other": (
        "out of date",
        rows(0, 1, 2),
        [ONE, add(30, 90, 2), got(50, "Bob", "2.1", "Bob"), listed(60, 61, "Ann", "1.0", "1.1")],
    ),
    "a quote is stored that nobody has sent": (
        "invented",
        [*rows(0), Row(1, 0, Quote("x", "Ann"))],
        [],
    ),
    "a quote is read that nobody has sent": ("invented", rows(0), [got(10, "Ann", "x", "Ann")]),
    "a quote is read with another author": (
        "invented",
        rows(0, 1),
        [ONE, got(30, "Bob", "1.0", "Bob")],
    ),
    "a stale answer has a quote that nobody has sent": (
        "invented",
        rows(0),
        [got(10, "Ann", "x", "Ann", stale=True)],
    ),
    "a repetition adds nothing, and nobody else has added": (
        "invented",
        rows(0, 1),
        [failed(5, 6, 1), add(10, 20, 1, added=0)],
    ),
    "a batch is new twice": ("twice", rows(0, 1), [ONE, add(30, 40, 1)]),
    "a quote is stored twice": (
        "twice",
        [*rows(0, 1), Row(3, 2, BATCHES[1][0])],
        [ONE],
    ),
    "an id is left out": ("gap", [rows(0)[0], Row(2, 0, BATCHES[1][0]), Row(3, 1, BATCHES[1][1])], [ONE]),
    "a number is left out": ("gap", [rows(0)[0], Row(1, 1, BATCHES[1][0]), Row(2, 2, BATCHES[1][1])], [ONE]),
    "a failed batch is there": ("failed, but there", rows(0, 1), [failed(10, 20, 1)]),
    "a listing is in another order": (
        "order",
        rows(0, 1),
        [ONE, listed(30, 31, "Ann", "1.1", "1.0")],
    ),
    "a listing leaves a quote out": (
        "order",
        rows(0, 1, 2),
        [ONE, TWO, listed(50, 51, "Ann", "1.0", "2.0")],
    ),
    "a listing begins after an acknowledgement, and lacks the batch": (
        "out of date",
        rows(0, 1, 2),
        [ONE, TWO, listed(50, 51, "Ann", "1.0", "1.1")],
    ),
    "an author is not known after an acknowledgement": (
        "out of date",
        rows(0, 1),
        [ONE, got(30, "Ann", "0.0", "Zoe")],
    ),
    "a listing lacks what another has seen before": (
        "out of date",
        rows(0, 1),
        [unknown(10, 20, 1), listed(30, 31, "Ann", "1.0", "1.1"), listed(32, 33, "Ann")],
    ),
    "a quote is read before it was sent": (
        "out of date",
        rows(0, 1),
        [got(5, "Ann", "1.0", "Ann"), ONE],
    ),
    "batches are stored in another order than they were acknowledged": (
        "out of date",
        rows(0, 2, 1),
        [ONE, TWO],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_has_that_anomaly_and_no_other(name: str) -> None:
    kind, stored, operations = WRONG[name]
    assert set(kinds(stored, *operations)) == {kind}
