"""A text whose lines belong to all forks, or to those with certain answers."""

import re
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from deploy.template.jinja import given
from deploy.template.names import Names

# Lines between these comments are no part of a fork. They are of Markdown, or of YAML, make or a shell.
_OWN = re.compile(r"^[ \t]*(?:<!--|#) template only(?: -->)?$")
_OWN_END = re.compile(r"^[ \t]*(?:<!--|#) /template only(?: -->)?$")


class TemplateError(Exception):
    """Why a template cannot be derived."""


def lines_of(text: str) -> list[str]:
    """The lines with their ends, which are line feeds only."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


@dataclass
class Line:
    """A line, and the conditions under which a fork has it; in its place, others have `otherwise`."""

    text: str
    conditions: set[str] = field(default_factory=set)
    otherwise: str = ""


class Text:
    """The lines of a file."""

    def __init__(self, text: str) -> None:
        self.lines = [Line(line) for line in lines_of(text)]

    def belongs(self, start: int, end: int, condition: str, otherwise: str = "") -> None:
        """Makes the lines from `start` to `end`, which is not included, depend on the condition."""
        for line in self.lines[start:end]:
            line.conditions.add(condition)
        self.lines[end - 1].otherwise += otherwise

    def append(self, line: str, condition: str) -> None:
        """Adds a line that depends on the condition."""
        self.lines.append(Line(line, {condition}))

    def mark_own(self, condition: str, path: Path) -> None:
        """Makes the blocks between the comments `template only` depend on the condition.

        Raises TemplateError for a block without its beginning or its end.
        """
        start: int | None = None
        for number, line in enumerate(self.lines):
            begins, ends = (bool(one.match(line.text.rstrip("\n"))) for one in (_OWN, _OWN_END))
            if begins if start is not None else ends:
                raise TemplateError(f"{path}:{number + 1}: a block `template only` in or without another one")
            if begins:
                start = number
            elif ends and start is not None:
                self.belongs(start, number + 1, condition)
                start = None
        if start is not None:
            raise TemplateError(f"{path}:{start + 1}: a block `template only` without an end")

    def left(self, names: Names) -> list[str]:
        """The lines of every fork that have a name of the example, or of the project within another name."""
        return [
            f"{number}: {left!r} in {line.text.strip()[:100]}"
            for number, line in enumerate(self.lines, start=1)
            if not line.conditions and (left := names.left(line.text))
        ]

    def rendered(self) -> str:
        """The text in the template language."""
        parts = []
        for (conditions, otherwise), lines in groupby(
            self.lines, key=lambda line: (frozenset(line.conditions), line.otherwise)
        ):
            parts.append(given(conditions, "".join(line.text for line in lines), otherwise))
        return "".join(parts)
