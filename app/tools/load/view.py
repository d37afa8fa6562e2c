"""A load's figures, as people read them."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from app.tools.load.figures import UNKNOWN, Figures

# Backends with rows of their own; what the others had is one row.
_MOST_ROWS = 12


def table(title: str, columns: dict[str, Figures]) -> Table:
    """A column of figures for each of the given ones, such as those of the last second and of the whole."""
    found = Table(box=SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)
    found.add_column()
    for name in columns:
        found.add_column(name, justify="right")
    several = list(columns.values())
    for section in (_calls(several), _latencies(several), _codes(several), _backends(several)):
        for row in section:
            found.add_row(*(Text(cell) for cell in row))
        found.add_section()
    return found


def line(figures: Figures, elapsed: float) -> str:
    """One line, for where there is no terminal."""
    codes = ", ".join(f"{count} {code}" for code, count in figures.codes.most_common())
    times = " ".join(f"p{percent} {_ms(figures.latency.percentile(percent))}" for percent in (50, 95, 99))
    return f"{elapsed:.0f} s: {figures.rate:.0f} a second; {codes or 'nothing over yet'}; {times}"


def _calls(several: list[Figures]) -> Iterator[list[str]]:
    yield ["calls made a second", *(f"{one.rate:.1f}" for one in several)]
    if any(one.crowded + one.late for one in several):
        yield ["calls not made", *(str(one.crowded + one.late) for one in several)]


def _latencies(several: list[Figures]) -> Iterator[list[str]]:
    for percent in (50, 95, 99):
        yield [f"latency p{percent}", *(_ms(one.latency.percentile(percent)) for one in several)]
    yield ["longest", *(_ms(one.latency.longest) for one in several)]


def _codes(several: list[Figures]) -> Iterator[list[str]]:
    for code, _ in several[-1].codes.most_common():
        yield [code, *(str(one.codes[code]) for one in several)]


def _backends(several: list[Figures]) -> Iterator[list[str]]:
    names = sorted(name for name in several[-1].backends if name != UNKNOWN)
    for name in names[:_MOST_ROWS]:
        yield [f"backend {name}", *(_share(one, [name]) for one in several)]
    if rest := names[_MOST_ROWS:]:
        yield [f"{len(rest)} further backends", *(_share(one, rest) for one in several)]
    if several[-1].backends[UNKNOWN]:
        yield ["backend unknown", *(_share(one, [UNKNOWN]) for one in several)]


def _share(figures: Figures, names: list[str]) -> str:
    calls = sum(figures.backends[name] for name in names)
    return f"{100 * calls / figures.ended:.1f} %" if figures.ended else "-"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
