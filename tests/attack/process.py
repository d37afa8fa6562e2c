"""An attack by a process of its own: `python -m tests.attack.process MODULE FUNCTION ARGUMENTS`.

It reads and writes frames in Python, which would hold up an honest client of the same process.
"""

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.attack.subject import Victim
from tests.support.servers.process import ROOT, environment


@dataclass(frozen=True)
class Place:
    """Where to attack, and for how many seconds."""

    target: str
    metrics: str
    token: str
    seconds: float


# What an attacker has seen.
Report = dict[str, Any]
Attackers = Callable[..., Report]  # is given a place
Hold = Callable[[Victim, float], AbstractContextManager[Report]]


def by(attackers: Attackers, *, stopped: bool = False, **arguments: Any) -> Hold:
    """Attacks by this function, which is given the arguments, for as long as the context.

    The report is complete after the context. A process that is `stopped` gets SIGSTOP after a second.
    """

    @contextmanager
    def hold(victim: Victim, seconds: float) -> Iterator[Report]:
        report: Report = {}
        place = Place(victim.target, victim.metrics, victim.tokens.get("attacker", ""), seconds)
        given = json.dumps([asdict(place), arguments])
        with subprocess.Popen(
            [sys.executable, "-m", __name__, attackers.__module__, attackers.__name__, given],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            try:
                if stopped:
                    _stop(process)
                yield report
                process.send_signal(signal.SIGCONT)
                found, _ = process.communicate(timeout=seconds + 20)
                assert process.returncode == 0, "the attacker has failed"
                report.update(json.loads(found))
            finally:
                process.kill()

    return hold


def together(*holds: Hold) -> Hold:
    """Makes several attacks at the same time, each by processes of its own, and merges their reports."""

    @contextmanager
    def hold(victim: Victim, seconds: float) -> Iterator[Report]:
        merged: Report = {}
        with ExitStack() as parts:
            reports = [parts.enter_context(each(victim, seconds)) for each in holds]
            yield merged
        for report in reports:
            merged.update(report)

    return hold


def _stop(process: "subprocess.Popen[str]") -> None:
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGSTOP)


def main(module: str, function: str, given: str) -> None:
    place, arguments = json.loads(given)
    attackers: Attackers = getattr(importlib.import_module(module), function)
    print("begun", flush=True)
    print(json.dumps(attackers(Place(**place), **arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
