"""Driving a load, and showing it meanwhile."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from app.tools.load.drive import LATEST, Drive
from app.tools.load.figures import Figures
from app.tools.load.view import line, table

Show = Callable[[Figures, Figures], None]

# Of a core: a process that uses more is likely to be what is slow, for Python runs on one at a time.
_BUSY = 0.7


def run(drive: Drive, title: str, *, as_json: bool) -> bool:
    """Drives to the end, or until Ctrl-C. Returns whether every call was made, and ended with OK.

    While it runs, a terminal shows a table of the last second and of the whole, and anything else gets a
    line a second. At the end come the table, and in words what went wrong; or, `as_json`, one line of JSON
    on standard output, and nothing else there. Raises KeyboardInterrupt after the figures so far.
    """
    interrupted: KeyboardInterrupt | None = None
    with _shown(title, drive.seconds, as_json=as_json) as show:
        drive.start()
        try:
            for figures, last_second in _each_second(drive):
                show(figures, last_second)
        except KeyboardInterrupt as error:
            interrupted = error
        drive.stop()
    figures = drive.figures()
    if as_json:
        asked = {"method": title, "asked_rps": drive.rps, "asked_seconds": drive.seconds}
        found = {**asked, "interrupted": interrupted is not None, **figures.as_json()}
        print(json.dumps(found))  # noqa: T201 - output of a command
    else:
        console = Console(markup=False, emoji=False, highlight=False)
        console.print(table(f"{title}, {figures.seconds:.3g} s", {"in all": figures}))
        for remark in remarks(figures, drive.rps):
            console.print(remark, soft_wrap=not console.is_terminal)
    if interrupted is not None:
        raise interrupted
    return not (figures.failed or figures.crowded or figures.late)


@contextmanager
def _shown(title: str, seconds: float, *, as_json: bool) -> Iterator[Show]:
    console = Console(stderr=as_json)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda figures, last: live.update(
                table(
                    f"{title}, {figures.seconds:.0f} of {seconds:g} s",
                    {"last second": last, "in all": figures},
                ),
                refresh=True,
            )
    else:
        yield lambda figures, last: None if as_json else print(line(last, figures.seconds), flush=True)  # noqa: T201


def _each_second(drive: Drive) -> Iterator[tuple[Figures, Figures]]:
    """The figures of the whole and of the last second, until every call is over."""
    before, due = drive.figures(), time.perf_counter() + 1
    while not drive.wait(max(0.0, due - time.perf_counter())):
        figures = drive.figures()
        yield figures, figures.since(before)
        before, due = figures, due + 1


def remarks(figures: Figures, asked: float) -> Iterator[str]:
    """What else there is to know, in words."""
    for code, message in figures.messages.items():
        yield f"{code}: {message}"
    if unmade := figures.late + figures.crowded:
        yield f"{unmade} calls were not made, to reach {asked:g} a second: {_reason(figures)}"
    elif figures.busy > _BUSY:
        yield f"{_busy(figures)}: part of the latency is its own"
    elif (late := figures.lateness.percentile(99)) > max(0.001, figures.latency.percentile(99) / 4):
        yield f"calls were made {late * 1000:.1f} ms late (p99): this machine is busy"
    if unfinished := figures.sent - figures.ended:
        yield f"{unfinished} calls were not over yet"


def _reason(figures: Figures) -> str:
    if figures.busy > _BUSY:
        return f"{_busy(figures)}; ask for less, or start several of it"
    if figures.crowded > figures.late:
        return "as many as --in-flight allows were waiting for the server"
    return f"they would have been more than {LATEST:g} s late, for this machine is busy"


def _busy(figures: Figures) -> str:
    return f"this process used {figures.busy:.2f} of the one core that it can use"
