"""What the default values and each example of the README render to, in golden/.

`.venv/bin/python -m tests.chart.test_golden` writes them anew: read what has changed.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import text
from tests.chart.examples import EXAMPLES, README

GOLDEN = Path(__file__).with_name("golden")
CASES: dict[str, dict[str, Any]] = {"Default values": {}} | EXAMPLES


def file(title: str) -> Path:
    return GOLDEN / f"{re.sub('[^a-z]+', '-', title.lower())}.yaml"


def golden(title: str) -> str:
    """The render, but for the token, which is another each time."""
    return re.sub(r"^  (tokens?): \w+=*$", r"  \1: MADE", text(CASES[title]), flags=re.MULTILINE)


@pytest.mark.parametrize("title", CASES)
def test_it_renders_to_the_file(title: str) -> None:
    assert golden(title) == file(title).read_text()


def test_every_example_has_a_file_and_every_file_an_example() -> None:
    assert len(EXAMPLES) == README.count("```yaml") == README.count("\n### ")
    assert {file(title) for title in CASES} == set(GOLDEN.iterdir())


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for title in CASES:
        file(title).write_text(golden(title))
