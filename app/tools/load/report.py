"""The figures as text: a table, a line, and remarks."""

from collections.abc import Iterator

from rich.table import Table

from app.tools.load.drive import LATEST
from app.tools.load.figures import UNKNOWN, Figures
from app.tools.table import add_row, new_table

# A process that uses more of a core is probably the bottleneck: Python uses one at a time.
_BUSY = 0.7
# The number of backends with a row each; the others share one row.
_MOST_ROWS = 12


def table(title: str, columns: dict[str, Figures]) -> Table:
    """Returns a table with a column for each of the figures, such as the last second and the total."""
    found = new_table(title)
    found.add_column()
    for name in columns:
        found.add_column(name, justify="right")
    several = list(columns.values())
    for section in (_calls(several), _latencies(several), _codes(several), _backends(several)):
        for row in section:
            add_row(found, *row)
        found.add_section()
    return found


def line(figures: Figures, elapsed: float) -> str:
    """Formats one line, for output that is not a terminal."""
    codes = ", ".join(f"{count} {code}" for code, count in figures.codes.most_common())
    times = " ".join(f"p{percent} {_ms(figures.latency.percentile(percent))}" for percent in (50, 95, 99))
    return f"{elapsed:.0f} s: {figures.rate:.0f} per second; {codes or 'no call is over yet'}; {times}"


def remarks(figures: Figures, asked: float) -> Iterator[str]:
    """Explains the figures: messages of errors, calls that were not made, and a slow client."""
    for code, message in figures.messages.items():
        yield f"{code}: {message}"
    if skipped := figures.too_late + figures.over_limit:
        yield f"{skipped} calls were not made to reach {asked:g} per second: {_reason(figures)}"
    elif figures.busy > _BUSY:
        yield f"{_busy(figures)}: it causes part of the latency"
    elif (lateness := figures.lateness.percentile(99)) > max(0.001, figures.latency.percentile(99) / 4):
        yield f"calls were made {lateness * 1000:.1f} ms late (p99): this machine is busy"
    if unfinished := figures.sent - figures.ended:
        yield f"{unfinished} calls are not over yet"


def _calls(several: list[Figures]) -> Iterator[list[str]]:
    yield ["calls per second", *(f"{one.rate:.1f}" for one in several)]
    if any(one.over_limit + one.too_late for one in several):
        yield ["calls not made", *(str(one.over_limit + one.too_late) for one in several)]


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
        yield [f"{len(rest)} other backends", *(_share(one, rest) for one in several)]
    if several[-1].backends[UNKNOWN]:
        yield ["backend unknown", *(_share(one, [UNKNOWN]) for one in several)]


def _share(figures: Figures, names: list[str]) -> str:
    calls = sum(figures.backends[name] for name in names)
    return f"{100 * calls / figures.ended:.1f} %" if figures.ended else "-"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _reason(figures: Figures) -> str:
    if figures.busy > _BUSY:
        return f"{_busy(figures)}; lower --rps, or run several processes"
    if figures.over_limit > figures.too_late:
        return "the limit of --in-flight was reached"
    return f"they would have been more than {LATEST:g} s late, because this machine is busy"


def _busy(figures: Figures) -> str:
    return f"this process used {figures.busy:.2f} of the one core that it can use"
