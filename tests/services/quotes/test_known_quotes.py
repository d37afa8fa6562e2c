from app.services.quotes.known_quotes import KnownQuotes
from app.services.quotes.quotes import Quote

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")


def test_the_quotes_of_the_file_come_first_and_each_is_there_once() -> None:
    file = (ANN, BOB)
    known = KnownQuotes(lambda: file)
    for quote in (EVE, BOB, EVE):
        known.saw(quote)
    assert known.quotes() == (ANN, BOB, EVE)


def test_the_oldest_goes_where_too_many_were_read() -> None:
    file = (ANN,)
    known = KnownQuotes(lambda: file, most=2)
    read = [Quote(str(number), "Bob") for number in range(4)]
    for quote in read:
        known.saw(quote)
    assert known.quotes() == (ANN, *read[2:])


def test_it_is_joined_again_only_after_a_change() -> None:
    file: tuple[Quote, ...] = (ANN,)
    known = KnownQuotes(lambda: file)
    first = known.quotes()
    assert known.quotes() is first
    known.saw(EVE)
    assert known.quotes() == (ANN, EVE)
    file = (BOB,)
    assert known.quotes() == (BOB, EVE)
