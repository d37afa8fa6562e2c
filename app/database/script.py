"""The statements of a script of SQL, by their words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    --[^\n]*
    | (?P<comment>/\*)
    | \bE'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | (?P<word>[^\W\d][\w$]*)
    | (?P<end>;)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")

# What these make may have a body of statements, which is not in quotes, from BEGIN to END.
_BODIES = {"FUNCTION", "PROCEDURE", "TRIGGER"}

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


@dataclass(frozen=True)
class Statement:
    """The words of a statement in upper case, without those in quotes and comments, and its first line."""

    words: tuple[str, ...]
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


def statements(script: str) -> Iterator[Statement]:
    """Those of a script for PostgreSQL or SQLite."""
    words: list[str] = []
    line = depth = 0
    for word, at in _words(script):
        if word == ";" and depth == 0:
            if words:
                yield Statement(tuple(words), line)
            words = []
        elif word != ";":
            line = line if words else script.count("\n", 0, at) + 1
            words.append(word)
            if depth == 0:
                depth = int(word == "BEGIN" and words[0] == "CREATE" and not _BODIES.isdisjoint(words))
            else:
                depth += {"BEGIN": 1, "CASE": 1, "END": -1}.get(word, 0)
    if words:
        yield Statement(tuple(words), line)


def _words(script: str) -> Iterator[tuple[str, int]]:
    """Words in upper case and semicolons, and where they are."""
    at = 0
    while token := _TOKEN.search(script, at):
        at = token.end()
        if token["comment"]:
            at = _after_comment(script, at)
        elif token["word"] or token["end"]:
            yield token[0].upper(), token.start()


def _after_comment(script: str, at: int) -> int:
    """Where a comment ends that began before `at`. PostgreSQL's are nested."""
    depth = 1
    while depth and (mark := _COMMENT.search(script, at)):
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at if depth == 0 else len(script)
