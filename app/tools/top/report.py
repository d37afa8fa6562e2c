"""The figures as tables for people."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from app.tools.period import period
from app.tools.table import add_row, dense_table, printable
from app.tools.top import names
from app.tools.top.figures import Figures, MethodFigures, MethodName, ServerFigures, State, Usage

# From this width on, tables have all columns.
_WIDE = 76
# From this height on, more problems are told.
_TALL = 30
# Which part of a limit is marked when it is used.
_FULL = 0.8
_STYLES = {
    State.READY: "green",
    State.NOT_READY: "yellow",
    State.DRAINING: "cyan",
    State.GONE: "red",
    State.NO_ANSWER: "red",
}


class _Row(NamedTuple):
    cells: tuple[str, ...]
    style: str = ""


class _Column(NamedTuple):
    name: str
    width: int
    wide: bool = False  # left out of narrow terminals


_SERVERS = (
    _Column("state", 9),
    _Column("version", 8, wide=True),
    _Column("uptime", 6, wide=True),
    _Column("memory", 7, wide=True),
    _Column("calls/s", 8),
    _Column("share", 5),
    _Column("waiting", 7),
)
_METHODS = (
    _Column("calls/s", 8),
    _Column("errors", 7, wide=True),
    _Column("p50", 7),
    _Column("p95", 7),
    _Column("p99", 7),
    _Column("in flight", 9, wide=True),
)
# `fullest` is of the server that has used most of its limit.
_LIMITS = (_Column("in use", 8), _Column("limit", 8), _Column("used", 5), _Column("fullest", 7))
# A name is not so long that its figures would stand at the other end of a wide terminal.
_WIDEST = 52


def report(figures: Figures, width: int, height: int | None = None) -> Group:
    """Returns the tables for a terminal of that width; of at most `height` lines, if it is given.

    Where there is no place for all, servers that are not ready and methods with many calls come first, and
    the last row counts the others.
    """
    limits = list(_limits(figures))
    problems = list(_problems(figures, 3 if height is None or height >= _TALL else 1))
    servers = [_server(figures, server) for server in figures.servers]
    methods = _methods(figures, width)
    if height is not None:
        if len(servers) > (room := max(3, height // 3)):
            others_first = sorted(figures.servers, key=lambda server: server.state is State.READY)
            servers = _first([_server(figures, server) for server in others_first], room, "servers")
        taken = len(servers) + len(problems) + len(limits) + 7  # headlines, the line above, empty lines
        if len(methods) > (room := max(3, height - taken)):
            methods = _first(_methods(figures, width, by_rate=True), room, "rows")
    parts: list[RenderableType] = [
        _line(_headline(figures), "bold"),
        Text(),
        _table("server", _SERVERS, servers, width),
        *(_line(problem, "red") for problem in problems),
        Text(),
        _table("method", _METHODS, methods, width) if methods else _line(_without_methods(figures), "dim"),
    ]
    if limits:
        columns = _LIMITS if any(len(row.cells) > len(_LIMITS) for row in limits) else _LIMITS[:-1]
        parts += [Text(), _table("limit", columns, limits, width)]
    return Group(*parts)


def _headline(figures: Figures) -> str:
    several = figures.servers
    states = {state: sum(server.state is state for server in several) for state in State}
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    rates = f"  {_rate(figures.rate)} calls/s, {_percent(figures.error_part)} errors" if figures.rated else ""
    return f"{time.strftime('%X')}  {counts}{rates}"


def _server(figures: Figures, server: ServerFigures) -> _Row:
    if not server.answers:
        return _Row((server.label, server.state), _STYLES[server.state])
    share = figures.share(server)
    cells = (
        server.label,
        server.state,
        server.version,
        "" if server.uptime is None else _uptime(server.uptime),
        "" if server.memory is None else _memory(server.memory),
        _rate(server.rate) if server.rated else "-",
        "-" if share is None else _percent(share),
        f"{server.queued:.0f}",
    )
    return _Row(cells, "" if server.state is State.READY else _STYLES[server.state])


def _problems(figures: Figures, most: int) -> Iterator[str]:
    found = [f"{server.label}: {server.problem}" for server in figures.servers if server.problem]
    yield from found[:most]
    if rest := len(found[most:]):
        yield f"and {rest} more that do not answer"


def _methods(figures: Figures, width: int, *, by_rate: bool = False) -> list[_Row]:
    if not figures.rated:
        return []
    used = [(name, method) for name, method in figures.methods.items() if method.used]
    if by_rate:
        used.sort(key=lambda one: -one[1].rate)
    room = _room(_METHODS, width)
    return [row for name, method in used for row in (_method(name, method, room), *_details(method))]


def _method(name: MethodName, method: MethodFigures, room: int) -> _Row:
    failed = sum(method.errors.values())
    part = _percent(failed / method.rate) if method.rate else "-"
    times = (_time(method.latency(percent)) for percent in (50, 95, 99))
    cells = (_named(name, room), _rate(method.rate), part, *times, f"{method.in_flight:.0f}")
    return _Row(cells, "" if name.counts and (method.rate or method.in_flight) else "dim")


def _details(method: MethodFigures) -> Iterator[_Row]:
    """The codes and the reasons of calls that failed, below their method."""
    for code, rate in method.errors.items():
        yield _Row((f"  {code}", _rate(rate), _percent(rate / method.rate)), "red")
    for reason, rate in method.refusals.items():
        yield _Row((f"  refused: {reason}", _rate(rate)), "yellow")


def _without_methods(figures: Figures) -> str:
    if figures.rated:
        return "no calls yet"
    return "rates come with the next reading" if any(one.answers for one in figures.servers) else ""


def _limits(figures: Figures) -> Iterator[_Row]:
    """How much of each limit is used: by all servers, and by the server that has used most of its own."""
    answering = [server for server in figures.servers if server.answers]
    for kind in dict.fromkeys(kind for server in answering for kind in server.limits):
        several = [server.limits[kind] for server in answering if kind in server.limits]
        running, most = sum(one.running for one in several), sum(one.most for one in several)
        if running or kind in names.ALWAYS_SHOWN:
            fullest = max(one.part for one in several)
            parts = (Usage(running, most).part, fullest)
            cells = (kind.replace("_", " "), f"{running:.0f}", f"{most:.0f}", *map(_percent, parts))
            yield _Row(cells if len(several) > 1 else cells[:-1], "yellow" if fullest >= _FULL else "")


def _table(title: str, columns: Sequence[_Column], rows: Iterable[_Row], width: int) -> RenderableType:
    wide = width >= _WIDE
    found = dense_table()
    found.add_column(title, no_wrap=True, overflow="ellipsis", width=_room(columns, width))
    for column in columns:
        if wide or not column.wide:
            found.add_column(column.name, justify="right", no_wrap=True, width=column.width)
    for row in rows:
        first, *others = row.cells
        cells = [cell for cell, column in zip(others, columns, strict=False) if wide or not column.wide]
        add_row(found, first, *cells, style=row.style)
    return found


def _room(columns: Sequence[_Column], width: int) -> int:
    """How wide the first column may be."""
    others = sum(column.width + 1 for column in columns if width >= _WIDE or not column.wide)
    return min(max(width - others, 10), _WIDEST)


def _named(name: MethodName, room: int) -> str:
    """The full name if there is room, and otherwise without the package, as commands take it, too."""
    full = printable(f"{name.service}/{name.name}")
    return full if len(full) <= room else printable(f"{name.service.rpartition('.')[2]}/{name.name}")


def _first(rows: list[_Row], most: int, what: str) -> list[_Row]:
    if len(rows) <= most:
        return rows
    return [*rows[: most - 1], _Row((f"and {len(rows) - most + 1} more {what}",), "dim")]


def _line(text: str, style: str) -> Text:
    return Text(printable(text), style, no_wrap=True, overflow="ellipsis")


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 1e5 else f"{rate:.0f}"  # noqa: PLR2004


def _percent(part: float) -> str:
    """Shows that there is something, however little."""
    return "<1 %" if 0 < part < 0.01 else f"{100 * part:.0f} %"  # noqa: PLR2004


def _uptime(seconds: float) -> str:
    """Abbreviates the unit."""
    count, unit = period(seconds).split()
    return f"{count} {unit[0]}"


def _memory(size: float) -> str:
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"  # noqa: PLR2004


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
