"""Golden files: the render of a set of values, as it was when somebody last read it."""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.chart.chart import text

Cases = Mapping[str, Mapping[str, Any]]


def file(folder: Path, title: str) -> Path:
    return folder / f"{re.sub('[^a-z]+', '-', title.lower())}.yaml"


def golden(values: Mapping[str, Any]) -> str:
    """The render, without the random token, and the hash of the Job, which has the project's name in it."""
    render = re.sub(r"^  (tokens?): \w+=*$", r"  \1: MADE", text(values), flags=re.MULTILINE)
    return re.sub(r"(-migrate)-[0-9a-f]{8}$", r"\1-HASH", render, flags=re.MULTILINE)


def difference(values: Mapping[str, Any]) -> str:
    """The lines that the values add to the render of the default values, or remove from it."""
    lines = difflib.unified_diff(golden({}).splitlines(), golden(values).splitlines(), n=0, lineterm="")
    return "".join(f"{line}\n" for line in list(lines)[2:] if not line.startswith("@@"))


def write(folder: Path, cases: Cases, render: Callable[[Mapping[str, Any]], str] = golden) -> None:
    """Replaces all files of the folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for title, values in cases.items():
        file(folder, title).write_text(render(values))
