"""The store of quotes, on each kind of database."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from math import sqrt

import pytest

from app.core.database import Database
from app.services.quotes.database_store import PAGE, DatabaseStore
from app.services.quotes.quotes import MAX_AUTHOR, MAX_QUOTE, Quote

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database, random.Random(1))  # noqa: S311 - the same draws in every run


def rows(database: Database, sql: str) -> list[tuple[int, ...]]:
    with database.reading() as connection:
        return connection.execute(sql)


def check_numbers(database: Database) -> None:
    """Ids of authors and quotes, and the numbers of an author's quotes, are 0, 1, 2, …"""
    for table in ("authors", "quotes"):
        ids = [one for (one,) in rows(database, f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608
        assert ids == list(range(len(ids)))
    numbers: dict[int, list[int]] = {}
    for author, number in rows(database, "SELECT author, number FROM quotes ORDER BY id"):
        numbers.setdefault(author, []).append(number)
    assert all(found == list(range(len(found))) for found in numbers.values())


def test_an_empty_database_has_nothing_to_pick_and_an_empty_listing(store: DatabaseStore) -> None:
    assert store.pick("") is None
    assert store.pick("Ann") is None
    assert list(store.all("")) == []


def test_a_known_author_is_quoted_and_an_unknown_one_gives_way_to_any(store: DatabaseStore) -> None:
    store.add([ANN, BOB, EVE])
    assert {store.pick("Ann") for _ in range(60)} == {ANN, BOB}
    assert {store.pick("Nobody") for _ in range(60)} == {ANN, BOB, EVE}
    assert {store.pick("") for _ in range(60)} == {ANN, BOB, EVE}


def test_authors_are_drawn_uniformly_and_then_the_quotes_of_the_author(store: DatabaseStore) -> None:
    """By a chi-square test with fixed draws: a bias of a tenth would be far outside of its bound."""
    counts = {"A": 1, "B": 2, "C": 5, "D": 12}
    store.add([Quote(f"{author} {number}", author) for author in counts for number in range(counts[author])])
    draws = 2000
    drawn = Counter(store.pick("") for _ in range(draws))
    expected = {
        Quote(f"{author} {number}", author): draws / len(counts) / counts[author]
        for author in counts
        for number in range(counts[author])
    }
    assert set(drawn) == set(expected)
    statistic = sum((drawn[quote] - often) ** 2 / often for quote, often in expected.items())
    freedom = len(expected) - 1
    assert statistic < freedom + 3 * sqrt(2 * freedom)  # the mean, and three standard deviations


def test_a_listing_has_the_order_of_the_additions(store: DatabaseStore) -> None:
    store.add([EVE, ANN])
    store.add([BOB])
    assert list(store.all("")) == [EVE, ANN, BOB]
    assert list(store.all("Ann")) == [ANN, BOB]
    assert list(store.all("Nobody")) == []


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
@pytest.mark.parametrize("author", ["", "Ann"])
def test_a_listing_of_several_pages_has_every_quote_once(
    store: DatabaseStore, count: int, author: str
) -> None:
    quotes = [Quote(str(number), "Ann") for number in range(count)]
    store.add(quotes)
    assert list(store.all(author)) == quotes


@pytest.mark.parametrize("author", ["", "Ann"])
def test_a_listing_has_what_was_there_when_it_began(store: DatabaseStore, author: str) -> None:
    quotes = [Quote(str(number), "Ann") for number in range(PAGE + 5)]
    store.add(quotes)
    listing = store.all(author)
    begun = list(islice(listing, 1))
    store.add([Quote("later", "Ann"), EVE])
    assert begun + list(listing) == quotes


@pytest.mark.parametrize("author", ["", "Ann"])
def test_a_listing_that_is_not_read_on_keeps_no_connection(store: DatabaseStore, author: str) -> None:
    store.add([ANN, BOB])
    waiting = [store.all(author) for _ in range(30)]  # more than the pool has connections
    assert [next(listing) for listing in waiting] == [ANN] * 30
    assert store.add([EVE]) == 1
    assert store.pick("Eve") == EVE


def test_a_quote_that_is_there_already_is_not_added_again(store: DatabaseStore, database: Database) -> None:
    assert store.add([ANN]) == 1
    assert store.add([ANN, BOB, BOB, EVE]) == 2
    assert store.add([ANN, BOB, EVE]) == 0
    assert store.add([Quote("one", "Eve")]) == 1  # the text of another author
    assert store.add([]) == 0
    check_numbers(database)


@pytest.mark.parametrize("letter", ["x", "é", "🎲", "'", "%"])
def test_the_longest_quote_of_the_longest_name_is_kept(store: DatabaseStore, letter: str) -> None:
    quote = Quote(letter * MAX_QUOTE, letter * MAX_AUTHOR)
    other = Quote(letter * (MAX_QUOTE - 1) + "y", letter * MAX_AUTHOR)
    assert store.add([quote, other]) == 2
    assert list(store.all(quote.author)) == [quote, other]
    assert list(store.all("")) == [quote, other]
    assert store.pick(quote.author) in {quote, other}


@pytest.mark.parametrize("wrong", [Quote("x" * (MAX_QUOTE + 1), "Ann"), Quote("x", "y" * (MAX_AUTHOR + 1))])
def test_a_batch_that_fails_adds_nothing_and_leaves_no_gap(
    store: DatabaseStore, database: Database, wrong: Quote
) -> None:
    store.add([EVE])
    with pytest.raises(Exception, match=r"(?i)check|constraint"):
        store.add([ANN, BOB, wrong])
    assert list(store.all("")) == [EVE]
    assert store.add([ANN, BOB]) == 2
    check_numbers(database)


def test_what_several_stores_add_at_the_same_time_is_all_kept(database: Database, another: Database) -> None:
    """Two pools, as of two servers. Each thread adds its own quotes, and some that all add."""
    stores = [DatabaseStore(database), DatabaseStore(another)]
    threads, times = 8, 12
    common = [Quote(f"common {number}", "All") for number in range(times)]
    own = [
        [Quote(f"{one} {number}", f"author {number}") for number in range(times)] for one in range(threads)
    ]
    added: list[int] = []
    listings: list[list[Quote]] = []

    def adder(one: int) -> None:
        added.extend(
            stores[one % 2].add([mine, shared]) for mine, shared in zip(own[one], common, strict=True)
        )

    def reader() -> None:
        while any(thread.is_alive() for thread in adders) or len(listings) < 2:
            listings.append(list(stores[0].all("")))

    adders = [threading.Thread(target=adder, args=(one,)) for one in range(threads)]
    run([*adders, threading.Thread(target=reader)])

    assert sum(added) == threads * times + times
    final = list(stores[1].all(""))
    assert sorted(final, key=str) == sorted(
        [*common, *(quote for quotes in own for quote in quotes)], key=str
    )
    check_numbers(database)
    # A listing is what was committed up to some moment: nothing shows up before it later.
    assert all(listing == final[: len(listing)] for listing in listings)


def run(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
