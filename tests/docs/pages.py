"""The Markdown pages of this repository, and their parts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support.chart import CHART
from tests.support.servers.process import ROOT


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and the line on which the text starts."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A Markdown file, by its path relative to the repository."""

    name: str

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All fenced blocks, from top to bottom."""
        found = re.finditer(r"^```(\w*)\n(.*?)^```$", self.text, flags=re.MULTILINE | re.DOTALL)
        return tuple(
            Block(self.name, self.text.count("\n", 0, match.start(2)) + 1, match[1], match[2])
            for match in found
        )

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """The anchors of its headings, as GitHub makes them."""
        found: dict[str, int] = {}
        for heading in re.findall(r"^#+ (.+)$", self.prose, flags=re.MULTILINE):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
            if found[slug]:
                found[f"{slug}-{found[slug]}"] = 0
        return frozenset(found)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The targets of its links and pictures."""
        markdown = re.findall(r"\]\(([^)\s]+)\)", self.prose)
        html = re.findall(r'(?:src|srcset|href)="([^"]+)"', self.prose)
        return (*markdown, *html)

    def generated(self, name: str) -> str:
        """The lines between `<!-- generated: NAME -->` and `<!-- /generated -->`."""
        start = f"<!-- generated: {name} -->\n"
        assert start in self.text, f"{self.name} has no line {start!r}"
        return self.text.partition(start)[2].partition("\n<!-- /generated -->")[0]

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next one of the same level or a higher one."""
        level = heading.count("#", 0, heading.index(" "))
        assert f"\n{heading}\n" in self.text, f"{self.name} has no heading {heading!r}"
        rest = self.text.partition(f"\n{heading}\n")[2]
        return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def pages() -> Iterator[Page]:
    """Every page that people read, the chart's README included."""
    found = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "SECURITY.md",
        ROOT / "AGENTS.md",
        CHART / "README.md",
    ]
    for path in [*found, *sorted((ROOT / "docs").rglob("*.md"))]:
        yield Page(path.relative_to(ROOT).as_posix())


PAGES = tuple(pages())
