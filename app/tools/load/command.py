"""The command `load`."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.live import Live

from app.core.errors import UsageError
from app.core.service import Command
from app.tools.exit import FAILED
from app.tools.interrupt import Interrupt, interrupt
from app.tools.json_requests import parse_json
from app.tools.load.calls import calls_of
from app.tools.load.drive import Drive
from app.tools.load.figures import Figures
from app.tools.load.report import line, remarks, table
from app.tools.methods import Methods, full_name

# Gets the figures of the whole load so far, and those of the last second.
Show = Callable[[Figures, Figures], None]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_LONGEST = 7 * 86_400
# How soon Ctrl-C is noticed, in seconds.
_PATIENCE = 0.1


def load_command(methods: Methods) -> Command:
    def load(
        channel: grpc.Channel,
        method: Annotated[
            str,
            typer.Argument(
                help="Such as acme.inventory.v1.InventoryService/GetItem; if omitted, the first that is"
                " marked NO_SIDE_EFFECTS.",
                show_default=False,
                autocompletion=methods.complete,
            ),
        ] = "",
        request: Annotated[
            str,
            typer.Argument(
                metavar="JSON", help="The request of each call; an array for a stream.", show_default=False
            ),
        ] = "{}",
        *,
        rps: Annotated[float, typer.Option(min=0.01, max=1_000_000, help="Calls per second.")] = 100,
        duration: Annotated[str, typer.Option("--for", help="The duration, such as 30s or 2m.")] = "10s",
        in_flight: Annotated[
            int,
            typer.Option(
                min=1, max=100_000, help="The most calls at once; further ones are counted, not made."
            ),
        ] = 1000,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print the figures as JSON at the end.")
        ] = False,
    ) -> None:
        """Make calls at a steady rate; show latencies, codes, and each server's share.

        Calls start when they are due, independent of earlier ones, and latencies are measured from then.
        Exits with 0 if every call was made and ended with OK, with 130 after Ctrl-C, and with 1 otherwise.
        """
        descriptor = methods.find(method) if method else methods.harmless()
        requests = parse_json(descriptor, request)
        seconds = parse_duration(duration)
        _connect(channel)
        with ThreadPoolExecutor(in_flight) as streams:
            start = calls_of(channel, descriptor, requests, streams)
            drive = Drive(start, rps=rps, seconds=seconds, most=in_flight)
            try:
                good = _run(drive, full_name(descriptor), as_json=as_json)
            finally:
                channel.close()  # ends the calls that are left after Ctrl-C
        if not good:
            raise typer.Exit(FAILED)

    return load


def parse_duration(text: str) -> float:
    """Returns the seconds of `30s`, `2m`, `1m30s` or `500ms`. Raises UsageError."""
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not _DURATION.fullmatch(text) or not 0 < seconds <= _LONGEST:
        raise UsageError(
            f"--for: invalid value {text!r}: expected a duration up to a week, such as 30s or 2m"
        )
    return seconds


def _connect(channel: grpc.Channel) -> None:
    """Raises RpcError if no server answers, before thousands of calls fail for that reason."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        stub.Check(health_pb2.HealthCheckRequest())
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            raise


def _run(drive: Drive, title: str, *, as_json: bool) -> bool:
    """Runs the load to its end, or until Ctrl-C. Returns whether every call was made, and ended with OK.

    Meanwhile, a terminal shows a table of the last second and of the total, and other output gets a line per
    second. At the end it prints the table and the remarks; or, `as_json`, one line of JSON and nothing else
    on standard output. Raises KeyboardInterrupt after it printed the figures so far.
    """
    with interrupt() as ctrl_c, _display(title, drive.seconds, as_json=as_json) as show:
        drive.start()
        for figures, last_second in _each_second(drive, ctrl_c):
            show(figures, last_second)
        drive.stop()
    figures = drive.figures()
    if as_json:
        asked = {"method": title, "asked_rps": drive.rps, "asked_seconds": drive.seconds}
        print(json.dumps({**asked, "interrupted": ctrl_c.received, **figures.as_json()}))
    else:
        console = Console(markup=False, emoji=False, highlight=False)
        console.print(table(f"{title}, {figures.seconds:.3g} s", {"total": figures}))
        for remark in remarks(figures, drive.rps):
            console.print(remark, soft_wrap=not console.is_terminal)
    if ctrl_c.received:
        raise KeyboardInterrupt
    return not (figures.failed or figures.over_limit or figures.too_late)


@contextmanager
def _display(title: str, seconds: float, *, as_json: bool) -> Iterator[Show]:
    console = Console(stderr=as_json)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda figures, last: live.update(
                table(
                    f"{title}, {figures.seconds:.0f} of {seconds:g} s",
                    {"last second": last, "total": figures},
                ),
                refresh=True,
            )
    else:
        yield lambda figures, last: None if as_json else print(line(last, figures.seconds), flush=True)


def _each_second(drive: Drive, ctrl_c: Interrupt) -> Iterator[tuple[Figures, Figures]]:
    """Yields the figures of the whole load and of the last second, until every call is over, or Ctrl-C."""
    before, due = drive.figures(), time.perf_counter() + 1
    while not (ctrl_c.received or drive.wait(min(_PATIENCE, max(0.0, due - time.perf_counter())))):
        if time.perf_counter() >= due:
            figures = drive.figures()
            yield figures, figures.since(before)
            before, due = figures, due + 1
