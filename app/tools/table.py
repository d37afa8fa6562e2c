"""Tables for the terminal, of text that may come from a caller or a server."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def new_table(title: str) -> Table:
    return Table(box=SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)


def dense_table() -> Table:
    """A table without lines and title, whose columns are one space apart."""
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))


def add_row(table: Table, *cells: str, style: str = "") -> None:
    """Adds cells that are text, and no markup of rich."""
    table.add_row(*(Text(printable(cell)) for cell in cells), style=style)


def printable(text: str) -> str:
    """Returns the text with escapes for what is not printed, such as control characters of a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
