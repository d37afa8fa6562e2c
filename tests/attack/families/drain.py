"""Clients that stay while a server ends."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import Attacker
from tests.attack.process import Hold, Place, Report, by
from tests.attack.subject import Victim


def connected(at: Place, connections: int) -> Report:
    """Connections without a call."""
    attackers = [Attacker(at.target) for _ in range(connections)]
    ends = time.monotonic() + at.seconds
    while time.monotonic() < ends and not all(one.gone for one in attackers):
        time.sleep(0.1)
    return {"gone": sum(one.gone for one in attackers)}


def draining(hold: Hold) -> Hold:
    """The same attack, on a server that is asked to end."""

    @contextmanager
    def ending(victim: Victim, seconds: float) -> Iterator[Report]:
        # Longer than the honest client calls: the connections are still there.
        with hold(victim, seconds + 30) as report:
            yield report
            began = time.monotonic()
            victim.process.send_signal(signal.SIGTERM)
            try:
                victim.process.wait(40)
            except subprocess.TimeoutExpired:
                took = float("inf")
            else:
                took = time.monotonic() - began
        victim.output.join(5)
        report["exit"], report["drain"] = took, victim.output.event("drain_calls_ended")

    return ending


def ends(figures: Figures) -> str | None:
    """Within the delay, which is 0, and six seconds, and says that nothing was cut."""
    took, drain = figures.report["exit"], figures.report["drain"] or {}
    if took > 6 or not drain.get("all_finished"):
        return f"the server ends after {took:.1f} s with {drain}"
    return None


ATTACKS = (
    Attack(
        "13",
        "an open connection without a call, and SIGTERM",
        draining(by(connected, connections=1)),
        Bound(others=(ends,)),
        against_bare=False,
        short=True,
        seconds=3,
    ),
)
