"""The README: its length, its links and its first commands."""

import re
import subprocess

from tests.docs.pages import Page
from tests.support.servers.process import ROOT

README = Page("README.md")


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(README.text.splitlines()) <= 150


def test_the_readme_links_to_every_page() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(README.links) == set()


def test_the_first_two_commands_are_run_and_test_and_run_starts_the_server() -> None:
    first = next(block for block in README.blocks if block.language == "sh")
    assert re.findall(r"^(make \w+)", first.text, flags=re.MULTILINE) == ["make run", "make test"]
    recipe = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ".venv/bin/python -m app serve" in recipe
    targets = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("setup", "run", "test", "interop", "lint", "gen", "image", "e2e"):
        assert re.search(rf"^{name} +\w", targets, flags=re.MULTILINE), targets
