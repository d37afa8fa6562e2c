"""Quotes, and the file format that they are kept in: one `quote ~ author` a line."""

import unicodedata
from dataclasses import dataclass

LONGEST_QUOTE = 2000
LONGEST_AUTHOR = 200

# Unicode categories: control characters, line and paragraph separators, lone surrogates.
_UNFIT = frozenset({"Cc", "Zl", "Zp", "Cs"})


@dataclass(frozen=True, slots=True)
class Quote:
    text: str
    author: str

    def __str__(self) -> str:
        return f"{self.text} ~ {self.author}"


def parse_quotes(content: bytes) -> tuple[Quote, ...]:
    """Reads a quotes file: UTF-8, a quote a line, blank lines passed over.

    The last `~` of a line separates, so that a quote may contain others. Raises ValueError with the number
    of the line and what is wrong, or where there is no quote at all.
    """
    quotes: list[Quote] = []
    # Only line feeds end a line: other separators of Unicode may stand in a quote's text unnoticed.
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number}: byte {error.start + 1} is not UTF-8") from None
        if not line:
            continue
        text, tilde, author = (part.strip() for part in line.rpartition("~"))
        if not tilde or not text or not author:
            raise ValueError(f"line {number}: write quote ~ author")
        if problem := text_problem(text, LONGEST_QUOTE) or author_problem(author):
            raise ValueError(f"line {number}: {problem}")
        quotes.append(Quote(text, author))
    if not quotes:
        raise ValueError("it has no quote ~ author line")
    return tuple(quotes)


def text_problem(text: str, longest: int) -> str:
    """What makes a text unfit for one line of a quotes file, in words; "" where nothing does."""
    if len(text) > longest:
        return f"at most {longest} characters, this has {len(text)}"
    if not text.isprintable() and any(unicodedata.category(character) in _UNFIT for character in text):
        return "no line breaks, tabs or other control characters"
    return ""


def author_problem(author: str) -> str:
    """As `text_problem`; an author has no `~` either, for the last one of a line separates."""
    return text_problem(author, LONGEST_AUTHOR) or (
        "no ~, which separates quote and author" if "~" in author else ""
    )
