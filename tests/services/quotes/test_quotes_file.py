import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.quotes import EMBEDDED
from app.services.quotes.quotes import Quote, author_problem, parse_quotes, text_problem

printable = (
    st.text(min_size=1, max_size=60).map(str.strip).filter(lambda text: text and not text_problem(text, 60))
)


def test_the_last_tilde_of_a_line_separates() -> None:
    assert parse_quotes(b"a ~ b ~ c\n") == (Quote("a ~ b", "c"),)


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_passed_over() -> None:
    assert parse_quotes(b"\xef\xbb\xbf\r\n a ~ b \r\n\n") == (Quote("a", "b"),)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected at least one line: quote ~ author"),
        (b"\n \n", "expected at least one line: quote ~ author"),
        (b"a ~ b\nno separator\n", "line 2: expected quote ~ author"),
        (b"a ~ b\n ~ author\n", "line 2: expected quote ~ author"),
        (b"a ~ b\n\nquote ~ \n", "line 3: expected quote ~ author"),
        (b"a ~ b\n\xff ~ c\n", "line 2: byte 1 is not UTF-8"),
        (b"a\x00b ~ c\n", "line 1: must not contain line breaks, tabs or other control"),
        (b"a" * 2001 + b" ~ c\n", "line 1: too long: 2001 characters (limit 2000)"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_what_is_wrong(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_quotes(content)


@given(
    st.lists(st.tuples(printable, printable.filter(lambda author: not author_problem(author))), min_size=1)
)
def test_every_list_of_quotes_survives_a_round_trip(pairs: list[tuple[str, str]]) -> None:
    quotes = tuple(Quote(text, author) for text, author in pairs)
    assert parse_quotes("\n".join(str(quote) for quote in quotes).encode()) == quotes


@given(st.binary())
def test_any_bytes_are_quotes_or_a_value_error(content: bytes) -> None:
    try:
        assert parse_quotes(content)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right; any other exception is not


def test_the_embedded_file_has_a_hundred_quotes_each_with_its_source() -> None:
    quotes = parse_quotes(EMBEDDED.read_bytes())
    assert len(quotes) >= 100
    assert len(set(quotes)) == len(quotes)
    sources = EMBEDDED.with_name("SOURCES.md").read_text()
    author, cited = "", set()
    for line in sources.splitlines():
        if line.startswith("## "):
            author = line.removeprefix("## ")
        elif line.startswith('- "'):
            text, closing, work = line.removeprefix('- "').rpartition('" — ')
            assert closing, line
            assert re.search(r"\b1[4-9]\d\d\b", work), f"no work and year: {line}"
            cited.add(Quote(text, author))
    assert cited == set(quotes)
