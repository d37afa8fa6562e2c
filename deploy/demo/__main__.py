"""Two servers, a load and `top` in one terminal, with one fault after another: `python -m deploy.demo`."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager

import grpc
from rich.console import Console

from app.core.errors import StartError, UsageError
from app.services import SERVICES
from app.tools.channel_command import code_of
from app.tools.exit import FAILED, INVALID
from app.tools.interrupt import interrupt
from app.tools.load.drive import Drive
from app.tools.top.addresses import parse_targets
from app.tools.top.figures import Figures
from app.tools.top.follow import readings
from app.tools.top.keys import single_keys
from app.tools.top.watch import Watch
from deploy.demo.acts import Act, Seen, acts
from deploy.demo.calls import choose, load
from deploy.demo.servers import FAULTY, Server, servers
from deploy.demo.stage import Stage, on_terminal, printed
from deploy.faults.gen.faults.v1 import faults_pb2 as pb

# How much longer a fault is on, in seconds, if its effect does not show: this machine may be busy.
_PATIENCE = 10
_DAY = 86_400


def main(program: str = FAULTY) -> int:
    """Plays the demo, with servers of that program.

    Returns 0 if each fault had its effect, 1 if not, and 130 if it was ended before.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument(
        "--seconds", type=_seconds, default=8.0, help="how long each fault is on; 8 by default"
    )
    seconds: float = parser.parse_args().seconds
    console = Console(markup=False, emoji=False, highlight=False)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        method, request = choose(SERVICES)
        console.print("Starting two servers on free ports of this machine …")
        with (
            interrupt() as ctrl_c,
            _terminated() as terminated,
            single_keys() as keys,
            servers(2, drain_delay=max(2.0, seconds / 2), program=program) as started,
            ThreadPoolExecutor(1) as streams,
            load([server.target for server in started], method, request, streams) as drive,
            (on_terminal if console.is_terminal else printed)(console) as stage,
        ):

            def ended() -> bool:
                return ctrl_c.received or bool(terminated) or "q" in keys()

            effects = asyncio.run(_play(started, drive, stage, ended, seconds))
    except (StartError, UsageError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return INVALID
    except grpc.RpcError as error:
        print(f"demo: a server did not take its faults: {code_of(error).name}", file=sys.stderr)
        return FAILED
    for act, effect in effects:
        console.print(f"{'✓' if effect else '✗'} {act.title}: {effect or 'NOT seen'}", soft_wrap=True)
    if len(effects) < len(acts()):
        return 130
    return 0 if all(effect for _, effect in effects) else FAILED


async def _play(
    servers: Sequence[Server],
    drive: Drive,
    stage: Stage,
    ended: Callable[[], bool],
    seconds: float,
) -> Sequence[tuple[Act, str]]:
    """Switches one fault after another on, and returns the effect of each that was played to its end."""
    watch = Watch(parse_targets(server.metrics for server in servers))
    effects: list[tuple[Act, str]] = []
    before: Figures | None = None
    async with aclosing(readings(watch, ended, min(1.0, seconds / 4))) as found:
        await anext(found, None)
        for act in acts():
            if before is not None and _waiting(before):
                await _calm(servers, found)
            _switch(act, servers)
            due = time.monotonic() + seconds
            seen: list[Figures] = []
            failed = drive.figures().failed
            stage.begin(act, len(effects) + 1, len(acts()))
            effect = ""
            async for reading in found:
                if reading is not None:
                    seen.append(reading)
                    effect = effect or act.effect(Seen(seen, before, drive.figures().failed - failed))
                left = due - time.monotonic()
                stage.show(reading, effect, max(0.0, left))
                if left <= (0 if effect else -_PATIENCE) and seen:
                    break
            else:
                return effects
            # Once more, as a call may have failed since.
            effect = act.effect(Seen(seen, before, drive.figures().failed - failed))
            stage.end(seen[-1], effect)
            effects.append((act, effect))
            before = seen[-1]
    return effects


async def _calm(servers: Sequence[Server], found: AsyncIterator[Figures | None]) -> None:
    """Switches all off, and lets the servers answer the calls that wait since."""
    for server in servers:
        server.set(pb.Faults())
    async for reading in found:
        if reading is not None and not _waiting(reading):
            return


def _waiting(figures: Figures) -> bool:
    return any(server.queued for server in figures.servers)


def _switch(act: Act, servers: Sequence[Server]) -> None:
    one, other = servers
    one.set(act.one)
    other.set(act.other)
    if act.drains:
        other.drain()


@contextmanager
def _terminated() -> Iterator[list[int]]:
    """Notes SIGTERM and SIGHUP, as `interrupt` does Ctrl-C, so that no server is left behind."""
    noted: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda found, _frame: noted.append(found)) for number in numbers]
    try:
        yield noted
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1 <= found <= _DAY:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, from 1 to a day")
    return found


if __name__ == "__main__":
    sys.exit(main())
