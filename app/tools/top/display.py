"""Where readings are shown: on a terminal, or as text or JSON in a pipe."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from app.tools.top.as_json import as_json
from app.tools.top.figures import Figures
from app.tools.top.report import report

# Gets each reading; and None now and then, when nothing has changed but perhaps the terminal's size.
Show = Callable[[Figures | None], None]


@contextmanager
def lines_of_json() -> Iterator[Show]:
    """Prints a line for each reading."""

    def show(figures: Figures | None) -> None:
        if figures is not None:
            print(json.dumps(as_json(figures), allow_nan=False), flush=True)

    yield show


@contextmanager
def printed(console: Console) -> Iterator[Show]:
    """Prints the tables of each reading, with all servers and methods."""
    first = True

    def show(figures: Figures | None) -> None:
        nonlocal first
        if figures is not None:
            console.print(*([] if first else [""]), report(figures, console.width), sep="\n")
            first = False

    yield show


@contextmanager
def full_screen(console: Console, legend: str) -> Iterator[Show]:
    """Draws each reading over the one before, and restores the screen on exit."""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        last: Figures | None = None
        size = console.size

        def show(figures: Figures | None) -> None:
            nonlocal last, size
            if figures is None and console.size == size:
                return
            last, size = figures or last, console.size
            if last is not None:
                tables = report(last, size.width, size.height - 2)
                live.update(Group(tables, Text(), Text(legend, "dim")), refresh=True)

        yield show
