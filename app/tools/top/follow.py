"""Readings of servers, shown one after another."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple

import grpc
from rich.console import Console

from app.tools.exit import exit_code, fail
from app.tools.top.display import full_screen, lines_of_json, printed
from app.tools.top.figures import Figures
from app.tools.top.watch import Watch

# How soon Ctrl-C, a key or another size of the terminal is noticed, in seconds.
_PATIENCE = 0.1


class How(NamedTuple):
    """What the options of the command ask for. `interval` is in seconds."""

    interval: float
    once: bool
    json: bool


async def follow(watch: Watch, ended: Callable[[], bool], how: How) -> Figures:
    """Shows readings until `ended()`, and returns the last one. Ends the command if no server answers."""
    console = Console(markup=False, emoji=False, highlight=False)
    whole = console.is_terminal and not (console.is_dumb_terminal or how.once or how.json)
    async with aclosing(readings(watch, ended, how.interval)) as found:
        figures = await anext(found, None) or Figures(())
        _check(figures)
        display = (
            lines_of_json() if how.json else full_screen(console, "q: quit") if whole else printed(console)
        )
        with display as show:
            if whole:  # elsewhere, what has no rates yet would be in the way
                show(figures)
            async for reading in found:
                show(reading)
                figures = reading or figures
                if how.once and reading is not None:
                    break
    return figures


async def readings(
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
    if figures.servers and not any(server.answers for server in figures.servers):
        problems = [f"{server.label}: {server.problem}" for server in figures.servers]
        remedy = "start a server with `make run`, or name the metrics ports of others"
        fail(f"no server answers: {remedy}", *problems, code=exit_code(grpc.StatusCode.UNAVAILABLE))
