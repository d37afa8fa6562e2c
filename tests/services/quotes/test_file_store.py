import re

import grpc
import pytest

from app.core.errors import StatusError
from app.services.quotes.file_store import FileStore
from app.services.quotes.quotes import Quote

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")


def test_the_file_has_a_quote_of_a_known_author_or_else_of_any() -> None:
    given = (ANN, BOB, EVE)
    store = FileStore(lambda: given)
    assert {store.pick("Ann") for _ in range(100)} == {ANN, BOB}
    assert {store.pick("Nobody") for _ in range(100)} == {ANN, BOB, EVE}
    assert {store.pick("") for _ in range(100)} == {ANN, BOB, EVE}


def test_a_listing_of_the_file_has_its_order() -> None:
    given = (EVE, BOB, ANN)
    store = FileStore(lambda: given)
    assert list(store.all("")) == [EVE, BOB, ANN]
    assert list(store.all("Ann")) == [BOB, ANN]
    assert list(store.all("Nobody")) == []


def test_a_changed_file_counts_from_the_next_call_on() -> None:
    given: tuple[Quote, ...] = (ANN,)
    store = FileStore(lambda: given)
    assert store.pick("") == ANN
    given = (EVE,)
    assert list(store.all("")) == [EVE]
    assert store.pick("Ann") == EVE


def test_nothing_is_added_and_the_error_says_what_to_set() -> None:
    given = (ANN,)
    store = FileStore(lambda: given)
    with pytest.raises(StatusError, match=re.escape("set APP_DATABASE_URL to")) as caught:
        store.add([EVE])
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert list(store.all("")) == [ANN]
