"""The command `top`."""

import asyncio
from typing import Annotated

import typer

from app.core.errors import UsageError
from app.core.name import variable
from app.tools.exit import FAILED, INVALID, fail
from app.tools.interrupt import interrupt
from app.tools.top.addresses import DEFAULT_PORT, parse_targets
from app.tools.top.keys import single_keys


def top(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST:PORT",
            help="The metrics ports of servers. A name stands for every server that it resolves to.",
            envvar=variable("--metrics"),
            show_default=f"localhost:{DEFAULT_PORT}",
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

    In a terminal, q ends it. Exits with 78 if no server answers at first; with --once, with 1 if one did not.
    """
    # Imported only here: no other command needs them.
    from app.tools.top.follow import How, follow
    from app.tools.top.watch import Watch

    try:
        targets = parse_targets(addresses or [f"localhost:{DEFAULT_PORT}"])
    except UsageError as error:
        fail(str(error), code=INVALID)
    with interrupt() as ctrl_c, single_keys() as keys:
        how = How(interval, once, json)
        last = asyncio.run(follow(Watch(targets), lambda: ctrl_c.received or "q" in keys(), how))
    if ctrl_c.received:
        raise KeyboardInterrupt
    if once and not all(server.answers for server in last.servers):
        raise typer.Exit(FAILED)
