"""The command `top`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated

import grpc
import typer
from rich.console import Console

from app.core.errors import UsageError
from app.core.name import variable
from app.tools.exit import FAILED, INVALID, exit_code, fail
from app.tools.interrupt import interrupt
from app.tools.top.addresses import DEFAULT_PORT, parse_targets
from app.tools.top.display import full_screen, lines_of_json, printed
from app.tools.top.figures import Figures
from app.tools.top.keys import single_keys
from app.tools.top.watch import Watch

# How soon Ctrl-C, a key or another size of the terminal is noticed, in seconds.
_PATIENCE = 0.1


def top(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HOST:PORT]...",
            help="The metrics ports of servers. A name stands for every server that it resolves to."
            f"  [default: localhost:{DEFAULT_PORT}]",
            envvar=variable("--metrics"),
            show_default=False,
        ),
    ] = None,
    *,
    interval: Annotated[
        float, typer.Option(min=0.5, max=3600, help="The seconds between two readings.")
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one reading after the first interval, and exit.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each interval.")] = False,
) -> None:
    """Show servers by their metrics: state, rates, errors, latencies, limits, and each one's share of calls.

    In a terminal, q ends it. Exits with 78 if no server answers at first, and with --once with 1 if one of
    them does not.
    """
    try:
        targets = parse_targets(addresses or [f"localhost:{DEFAULT_PORT}"])
    except UsageError as error:
        fail(str(error), code=INVALID)
    with interrupt() as ctrl_c, single_keys() as keys:
        last = asyncio.run(
            _follow(
                Watch(targets),
                lambda: ctrl_c.received or "q" in keys(),
                interval=interval,
                once=once,
                json=json,
            )
        )
    if ctrl_c.received:
        raise KeyboardInterrupt
    if once and not all(server.answers for server in last.servers):
        raise typer.Exit(FAILED)


async def _follow(
    watch: Watch, ended: Callable[[], bool], *, interval: float, once: bool, json: bool
) -> Figures:
    """Shows readings until the end, and returns the last one."""
    console = Console(markup=False, emoji=False, highlight=False)
    whole = console.is_terminal and not (console.is_dumb_terminal or once or json)
    async with aclosing(_readings(watch, ended, interval)) as readings:
        figures = await anext(readings, None) or Figures(())
        _check(figures)
        display = lines_of_json() if json else full_screen(console, "q: quit") if whole else printed(console)
        with display as show:
            show(figures)
            async for reading in readings:
                show(reading)
                figures = reading or figures
                if once and figures.rated:
                    break
    return figures


async def _readings(
    watch: Watch, ended: Callable[[], bool], interval: float
) -> AsyncGenerator[Figures | None]:
    """Yields a reading each interval, and None now and then, until the end."""
    due = time.monotonic()
    while True:
        due = max(due + interval, time.monotonic())
        reading = asyncio.create_task(watch.read())
        while not reading.done():
            if ended():
                reading.cancel()
                return
            await asyncio.wait({reading}, timeout=_PATIENCE)
        yield reading.result()
        while (left := due - time.monotonic()) > 0:
            if ended():
                return
            await asyncio.sleep(min(_PATIENCE, left))
            yield None


def _check(figures: Figures) -> None:
    """Ends the command if no server answers at first."""
    if figures.servers and not any(server.answers for server in figures.servers):
        problems = [f"{server.label}: {server.problem}" for server in figures.servers]
        remedy = "start a server with `make run`, or name the metrics ports of others"
        fail(f"no server answers: {remedy}", *problems, code=exit_code(grpc.StatusCode.UNAVAILABLE))
