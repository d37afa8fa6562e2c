import threading

import pytest

from app.core.errors import ResourceExhausted
from app.services.quotes.quotes import Quote
from app.services.quotes.store import MemoryStore

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")


def test_a_known_author_is_quoted_and_an_unknown_one_gives_way_to_any() -> None:
    store = MemoryStore(lambda: given)
    given = (ANN, BOB, EVE)
    assert {store.pick("Ann") for _ in range(100)} == {ANN, BOB}
    assert {store.pick("Nobody") for _ in range(100)} == {ANN, BOB, EVE}
    assert {store.pick("") for _ in range(100)} == {ANN, BOB, EVE}


def test_a_listing_has_the_order_of_the_file_with_added_quotes_behind() -> None:
    given = (EVE, ANN)
    store = MemoryStore(lambda: given)
    assert store.add([BOB]) == 1
    assert list(store.all("")) == [EVE, ANN, BOB]
    assert list(store.all("Ann")) == [ANN, BOB]
    assert list(store.all("Nobody")) == []


def test_a_changed_file_counts_from_the_next_call_on_and_added_quotes_stay() -> None:
    given: tuple[Quote, ...] = (ANN,)
    store = MemoryStore(lambda: given)
    store.add([BOB])
    given = (EVE,)
    assert list(store.all("")) == [EVE, BOB]
    assert store.pick("Eve") == EVE


def test_a_quote_that_is_there_already_is_not_added_again() -> None:
    given = (ANN,)
    store = MemoryStore(lambda: given)
    assert store.add([ANN, BOB, BOB]) == 1
    assert store.add([BOB]) == 0


def test_a_batch_above_the_limit_is_rejected_whole() -> None:
    given = (EVE,)
    store = MemoryStore(lambda: given, max_added=1)
    with pytest.raises(ResourceExhausted, match="too many added quotes"):
        store.add([ANN, BOB])
    assert list(store.all("")) == [EVE]


def test_quotes_added_at_the_same_time_are_all_kept() -> None:
    given = (EVE,)
    store = MemoryStore(lambda: given)
    added = [[Quote(f"{thread} {number}", "Ann") for number in range(50)] for thread in range(8)]
    threads = [threading.Thread(target=lambda one=one: [store.add([q]) for q in one]) for one in added]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(store.all("Ann")) == {quote for one in added for quote in one}
