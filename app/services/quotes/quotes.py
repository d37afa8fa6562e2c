"""Quotes, and their file format: one `quote ~ author` a line."""

import unicodedata
from dataclasses import dataclass

MAX_QUOTE = 2000
MAX_AUTHOR = 200

# Unicode categories: control characters, line and paragraph separators, lone surrogates.
_FORBIDDEN = frozenset({"Cc", "Zl", "Zp", "Cs"})


@dataclass(frozen=True, slots=True)
class Quote:
    text: str
    author: str

    def __str__(self) -> str:
        return f"{self.text} ~ {self.author}"


def parse_quotes(content: bytes) -> tuple[Quote, ...]:
    """Reads a quotes file: UTF-8, one quote a line, blank lines ignored.

    The last `~` of a line separates, so that a quote may contain others. Raises ValueError with the number
    of the line and what is wrong in it, or if the file has no quote.
    """
    quotes: list[Quote] = []
    # Only line feeds end a line: a quote may contain other separators of Unicode.
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number}: byte {error.start + 1} is not UTF-8") from None
        if not line:
            continue
        text, tilde, author = (part.strip() for part in line.rpartition("~"))
        if not tilde or not text or not author:
            raise ValueError(f"line {number}: expected quote ~ author")
        if problem := text_problem(text, MAX_QUOTE) or author_problem(author):
            raise ValueError(f"line {number}: {problem}")
        quotes.append(Quote(text, author))
    if not quotes:
        raise ValueError("expected at least one line: quote ~ author")
    return tuple(quotes)


def text_problem(text: str, longest: int) -> str:
    """Returns why a text cannot be one line of a quotes file; "" if it can."""
    if len(text) > longest:
        return f"too long: {len(text)} characters (limit {longest})"
    if not text.isprintable() and any(unicodedata.category(character) in _FORBIDDEN for character in text):
        return "must not contain line breaks, tabs or other control characters"
    return ""


def author_problem(author: str) -> str:
    """As `text_problem`; an author cannot have a `~` either, because the last one of a line separates."""
    return text_problem(author, MAX_AUTHOR) or (
        "must not contain ~, which separates quote and author" if "~" in author else ""
    )
