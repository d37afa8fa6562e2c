"""Golden files: the render of a set of values, as it was when somebody last read it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chart.chart import text

Cases = Mapping[str, Mapping[str, Any]]


def file(folder: Path, title: str) -> Path:
    return folder / f"{re.sub('[^a-z]+', '-', title.lower())}.yaml"


def golden(values: Mapping[str, Any]) -> str:
    """The render, without the random token."""
    return re.sub(r"^  (tokens?): \w+=*$", r"  \1: MADE", text(values), flags=re.MULTILINE)


def write(folder: Path, cases: Cases) -> None:
    """Replaces all files of the folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for title, values in cases.items():
        file(folder, title).write_text(golden(values))
