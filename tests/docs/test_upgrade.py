"""The page about the upgrade: its new names exist, and its old ones do not."""

import re

from tests.docs.pages import Page
from tests.support.servers.process import ROOT

PAGE = Page("docs/upgrade.md")
SOURCE = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))


def rows(heading: str) -> list[tuple[str, str]]:
    """The cells of the tables below a heading, old and new."""
    cells = re.findall(r"^\| (.*?) \| (.*?) \|$", PAGE.section(heading), flags=re.MULTILINE)
    return [(old, new) for old, new in cells if (old, new) != ("0.1.0", "0.2.0")]


def test_the_old_modules_are_gone_and_the_new_ones_are_there() -> None:
    for old, new in rows("## Modules"):
        paths = re.compile(r"`(app/[^`]*)`")
        assert [path for path in paths.findall(old) if (ROOT / path).exists()] == []
        assert [path for path in paths.findall(new) if not (ROOT / path).exists()] == []
        assert paths.search(new)


def test_the_old_log_events_are_gone_and_the_new_ones_are_there() -> None:
    for old, new in rows("## Log events"):
        assert f'"{old.strip("`")}"' not in SOURCE
        assert f'"{new.strip("`")}"' in SOURCE


def test_the_new_messages_are_those_of_the_program() -> None:
    for old, new in rows("## Messages of errors"):
        assert literal(old) not in SOURCE
        assert literal(new) in SOURCE


def literal(message: str) -> str:
    """The longest part of a message that has no value in it."""
    parts = re.split(r"\d+|…|/SERVICE/METHOD|calls|nbf", message.strip("` "))
    return max(parts, key=len)
