"""Driving a load, and showing it meanwhile."""

import json
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live

from app.client.load.drive import LATEST, Drive, undisturbed
from app.client.load.figures import Figures
from app.client.load.view import line, table


def run(drive: Drive, title: str, *, as_json: bool) -> bool:
    """Drives to the end, or until Ctrl-C. Returns whether every call was made, and ended with OK.

    While it runs, a terminal shows a table of the last second and of the whole, and anything else gets a
    line a second. At the end come the table, and in words what went wrong. `as_json` prints one line of
    JSON at the end, and nothing else where standard error is no terminal.
    Raises KeyboardInterrupt after the figures so far.
    """
    shown = Console(stderr=as_json, soft_wrap=not sys.stdout.isatty())
    interrupted: KeyboardInterrupt | None = None
    with undisturbed():
        drive.start()
        try:
            (_watch if shown.is_terminal else _tell)(drive, title, shown, quiet=as_json)
        except KeyboardInterrupt as error:
            interrupted = error
        drive.stop()
    figures = drive.figures()
    if as_json:
        given = {"method": title, "asked_rps": drive.rps, "asked_seconds": drive.seconds}
        print(json.dumps({**given, "interrupted": interrupted is not None, **figures.as_json()}))  # noqa: T201 - output of a command
    else:
        shown.print(table(title, {"in all": figures}))
        for remark in remarks(figures, drive.rps):
            shown.print(remark, markup=False, emoji=False, highlight=False)
    if interrupted is not None:
        raise interrupted
    return not (figures.failed or figures.crowded or figures.late)


def _watch(drive: Drive, title: str, console: Console, *, quiet: bool) -> None:
    del quiet
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for figures, last in _seconds(drive):
            live.update(table(title, {"last second": last, "in all": figures}), refresh=True)


def _tell(drive: Drive, title: str, console: Console, *, quiet: bool) -> None:
    del title
    for figures, last in _seconds(drive):
        if not quiet:
            console.print(line(last, figures.seconds), highlight=False)


def _seconds(drive: Drive) -> Iterator[tuple[Figures, Figures]]:
    """Each second, the figures of the whole and of that second, until every call is over."""
    before, due = drive.figures(), time.perf_counter()
    over = False
    while not over:
        due += 1
        over = drive.wait(max(0.0, due - time.perf_counter()))
        if not over:
            figures = drive.figures()
            yield figures, figures.since(before)
            before = figures


def remarks(figures: Figures, asked: float) -> Iterator[str]:
    """What else there is to know, in words."""
    for code, message in figures.messages.items():
        yield f"{code}: {message}"
    if figures.late:
        yield (
            f"{figures.late} calls were not made: this process was late by more than {LATEST} s. It made"
            f" {figures.rate:.0f} of {asked:g} calls a second; several of it, or a lower --rps, would do"
        )
    if figures.crowded:
        yield (
            f"{figures.crowded} calls were not made: as many as --in-flight allows were waiting for answers."
            " The server is slower than --rps asks"
        )
    if unfinished := figures.sent - figures.ended:
        yield f"{unfinished} calls were not over yet"
    latency, lateness = figures.latency.percentile(99), figures.lateness.percentile(99)
    if lateness > latency / 4:
        yield (
            f"this process made calls up to {lateness * 1000:.1f} ms late (p99), which counts as latency:"
            " it, or its machine, is busy"
        )
