"""What makes a server log much, or keeps it from logging."""

import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import Attacker, paced
from tests.attack.honest import UNARY
from tests.attack.process import Hold, Place, Report, by
from tests.attack.subject import Prepared, Victim


def calls(at: Place, rate: float) -> Report:
    """Complete calls, each of which has its line."""
    one = Attacker(at.target, token=at.token)
    for due in paced(rate, at.seconds):
        one.call(UNARY, min(due, max(0, 900 - len(one.open))))
    return {"ended": one.ended}


def malformed(at: Place, rate: float) -> Report:
    """Calls whose `grpc-timeout` is no time."""
    one = Attacker(at.target, token=at.token)
    for due in paced(rate, at.seconds):
        if one.gone:
            one = Attacker(at.target, token=at.token)
        block = one.block(UNARY, grpc_timeout="soon")
        frames = [one.headers(block, "END_STREAM") for _ in range(due)]
        one.send(*frames)
    return {"ended": one.ended}


def unread(hold: Hold) -> Hold:
    """The same attack, while no one reads what the server writes; then the server has to end."""

    @contextmanager
    def stopped(victim: Victim, seconds: float) -> Iterator[Report]:
        for each in (victim.output, victim.errors):
            each.reading.clear()
        with hold(victim, seconds) as report:
            yield report
        began = time.monotonic()
        victim.process.send_signal(signal.SIGTERM)
        try:
            victim.process.wait(40)
        except subprocess.TimeoutExpired:
            report["exit"] = float("inf")
        else:
            report["exit"] = time.monotonic() - began

    return stopped


def counted(hold: Hold) -> Hold:
    """The same attack, with the lines that the server wrote in the meantime, those of calls left out."""

    @contextmanager
    def counting(victim: Victim, seconds: float) -> Iterator[Report]:
        before = written(victim)
        with hold(victim, seconds) as report:
            yield report
        report["lines"] = written(victim) - before

    return counting


def written(victim: Victim) -> int:
    """Lines of the log other than those of calls, and lines on standard error."""
    return len(victim.output.events) + victim.errors.lines


def full(hold: Hold) -> Hold:
    """The same attack, on a server whose log is a file that cannot grow."""

    @contextmanager
    def limited(victim: Victim, seconds: float) -> Iterator[Report]:
        size = (victim.folder / "log").stat().st_size
        resource.prlimit(victim.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        with hold(victim, seconds) as report:
            yield report
        resource.prlimit(victim.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        time.sleep(2)
        report["told"] = [line for line in victim.output.events if line["event"] == "log_lines_dropped"]

    return limited


def ends(figures: Figures) -> str | None:
    """Within delay, grace and two seconds: 0, 20 and 2."""
    return f"the server ends after {figures.report['exit']:.1f} s" if figures.report["exit"] > 22 else None


def few(figures: Figures) -> str | None:
    lines = figures.report["lines"]
    return f"{lines} lines are written, more than 1,000" if lines > 1000 else None


def tells(figures: Figures) -> str | None:
    return None if figures.report["told"] else "no line says that lines were lost"


def to_file(_folder: Path) -> AbstractContextManager[Prepared]:
    return nullcontext(Prepared(to_file=True))


ATTACKS = (
    Attack(
        "4",
        "1,000 calls a second, and no one reads the log",
        unread(by(calls, rate=950)),
        Bound(more=20, others=(ends,)),
        against_bare=False,
        seconds=60,
    ),
    Attack(
        "15",
        "2,000 malformed timeouts a second",
        counted(by(malformed, rate=2000)),
        Bound(others=(few,)),
        short=True,
    ),
    Attack(
        "20",
        "200 calls a second, and the disk of the log is full",
        full(by(calls, rate=200)),
        Bound(more=20, others=(tells,)),
        against_bare=False,
        short=True,
        prepare=to_file,
    ),
)
