"""The statements of a script of SQL, by their words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.core.database import Dialect

_COMMON = r"""
    (?P<line>--[^\n]*)
    | (?P<comment>/\*)
    | '(?:[^']|'')*'
    | (?P<name>"(?:[^"]|"")*" | \.[^\W\d][\w$]*)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<sign>[;,()])
"""
_POSTGRESQL = r"\bE'(?:[^'\\]|\\.|'')*' | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$"
_SQLITE = r"(?P<quoted>\[[^\]]*\] | `(?:[^`]|``)*`)"
_FLAGS = re.IGNORECASE | re.VERBOSE | re.DOTALL
_TOKENS: Mapping[Dialect, re.Pattern[str]] = {
    "postgresql": re.compile(f"{_POSTGRESQL} | {_COMMON}", _FLAGS),
    "sqlite": re.compile(f"{_SQLITE} | {_COMMON}", _FLAGS),
}
_COMMENT = re.compile(r"/\*|\*/")

# The first words of what begins or ends a transaction.
_CONTROL = (
    ("BEGIN",), ("START", "TRANSACTION"), ("COMMIT",), ("END",), ("ROLLBACK",), ("ABORT",),
    ("PREPARE", "TRANSACTION"),
)  # fmt: skip
# Those of what the databases refuse inside of a transaction.
_OUTSIDE = (
    ("VACUUM",), ("CREATE", "DATABASE"), ("DROP", "DATABASE"), ("CREATE", "TABLESPACE"),
    ("DROP", "TABLESPACE"), ("ALTER", "SYSTEM"), ("REINDEX", "DATABASE"), ("REINDEX", "SYSTEM"),
    ("ATTACH",), ("DETACH",),
)  # fmt: skip
# What takes something away from programs that know an older schema, by the outer words. A name that stands
# where it is made is none of these, such as that of a new column.
_NOT_A_NAME = "".join(rf"(?<!{word}\ )" for word in ("ADD", "COLUMN", "EXISTS", "ONLY", "TABLE"))
_CONTRACTS = re.compile(
    rf"""
    DROP\ (?!INDEX\b|STATISTICS\b)
    | TRUNCATE\b
    | ALTER\ (?!INDEX\b).*\ {_NOT_A_NAME}(?:
        DROP\ (?!CONSTRAINT\b|DEFAULT\b|NOT\ NULL\b)
        | RENAME\b | DETACH\ PARTITION\b | SET\ SCHEMA\b | SET\ NOT\ NULL\b | SET\ DATA\ TYPE\b
        | ALTER\ (?:COLUMN\ |ATTRIBUTE\ )?(?!COLUMN\ )\S+\ TYPE\b
    )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Statement:
    """The words of a statement in upper case, without quoted ones and comments, and its first line.

    `outer` are those outside of parentheses, with commas, and with `""` for each name that is quoted or
    stands after a dot.
    """

    words: tuple[str, ...]
    outer: tuple[str, ...]
    line: int

    @property
    def not_in_a_transaction(self) -> str:
        """The words for which it cannot be in a transaction; "" if it can."""
        if self.words[:2] == ("ROLLBACK", "TO"):  # a savepoint
            return ""
        for first in (*_CONTROL, *_OUTSIDE):
            if self.words[: len(first)] == first:
                return " ".join(first)
        # A materialized view is another matter.
        return "CONCURRENTLY" if "CONCURRENTLY" in self.words and self.words[0] != "REFRESH" else ""

    @property
    def contracts(self) -> bool:
        """Whether it takes something away from programs that know an older schema."""
        return _CONTRACTS.match(" ".join(self.outer)) is not None


@dataclass(frozen=True)
class Comment:
    """A comment with its signs, and the line on which it begins."""

    text: str
    line: int
    alone: bool  # nothing but white space is before it on its line


def statements(script: str, dialect: Dialect) -> Iterator[Statement]:
    """Those of a script."""
    words: list[str] = []
    outer: list[str] = []
    body = _Body(dialect)
    line = parentheses = 0
    for kind, text, at in _tokens(script, dialect):
        if kind == "comment":
            continue
        line = line if words else script.count("\n", 0, at) + 1
        parentheses = max(0, parentheses + {"(": 1, ")": -1}.get(text, 0))
        if kind == "word":
            words.append(text)
        if parentheses:
            continue
        if text == ";" and body.ends():
            if words:
                yield Statement(tuple(words), tuple(outer), line)
            words, outer, body = [], [], _Body(dialect)
        elif text not in {"(", ")"}:
            outer.append(text)
            body.goes_on(outer)
    if words:
        yield Statement(tuple(words), tuple(outer), line)


class _Body:
    """Whether a semicolon is in the body of a statement that has one, not quoted, from BEGIN to END."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._outer: list[str] = []
        self._depth = 0

    def goes_on(self, outer: list[str]) -> None:
        """With the last one of these words, none of which is in parentheses."""
        self._outer = outer
        if self._depth:
            # Any word may name a column after AS.
            if outer[-2] != "AS":
                self._depth += {"CASE": 1, "END": -1}.get(outer[-1], 0)
        elif outer[0] == "CREATE" and outer[-2:] == ["BEGIN", "ATOMIC"]:
            self._depth = 1

    def ends(self) -> bool:
        """Whether the statement ends with a semicolon that comes now."""
        if self._dialect == "postgresql":
            return self._depth == 0
        # As sqlite3_complete sees it: BEGIN and END may be names, too.
        is_trigger = re.match("CREATE (TEMP |TEMPORARY )?TRIGGER ", " ".join(self._outer[:4]) + " ")
        return is_trigger is None or self._outer[-2:] == [";", "END"]


def comments(script: str, dialect: Dialect) -> Iterator[Comment]:
    """Those of a script."""
    for kind, text, at in _tokens(script, dialect):
        if kind == "comment":
            alone = not script[script.rfind("\n", 0, at) + 1 : at].strip()
            yield Comment(text, script.count("\n", 0, at) + 1, alone)


def _tokens(script: str, dialect: Dialect) -> Iterator[tuple[str, str, int]]:
    """The kind, the text, and where it is: comments, words in upper case, names as `""`, and signs."""
    at = 0
    while token := _TOKENS[dialect].search(script, at):
        begin, at = token.span()
        match token.lastgroup:
            case "comment":
                at = _after_comment(script, at, nests=dialect == "postgresql")
                yield "comment", script[begin:at], begin
            case "line":
                yield "comment", token[0], begin
            case "word":
                yield "word", token[0].upper(), begin
            case "name" | "quoted":
                yield "name", '""', begin
            case "sign":
                yield "sign", token[0], begin


def _after_comment(script: str, at: int, *, nests: bool) -> int:
    """Where a comment ends that began before `at`."""
    depth = 1
    while depth and (mark := _COMMENT.search(script, at)):
        if mark[0] == "*/":
            depth -= 1
        elif nests:
            depth += 1
        at = mark.end()
    return at if depth == 0 else len(script)
