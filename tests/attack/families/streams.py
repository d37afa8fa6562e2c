"""Complete calls and streams of one client, as many as it can have."""

import time
from collections import Counter

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import Attacker
from tests.attack.honest import BIDI_STREAM, CHECK, CLIENT_STREAM, UNARY
from tests.attack.process import Place, Report, by


def idle(at: Place, path: str, streams: int) -> Report:
    """Streams with one message each, which are then left open."""
    one = Attacker(at.target, token=at.token)
    for stream in one.begin(path, streams):
        one.message(stream, b"")
    time.sleep(at.seconds)
    return {"open": len(one.open), "ended": one.ended}


def calls(at: Place, path: str, connections: int, in_flight: int) -> Report:
    """Keeps so many complete calls in flight on each connection."""
    attackers = [Attacker(at.target, token=at.token) for _ in range(connections)]
    ends = time.monotonic() + at.seconds
    while time.monotonic() < ends:
        due = 0
        for number, one in enumerate(attackers):
            if one.gone:
                attackers[number] = Attacker(at.target, token=at.token)
            free = min(100, in_flight - len(one.open))
            if free > 0:
                one.call(path, free)
                due += free
        if not due:
            time.sleep(0.002)
    return {"ended": sum((one.ended for one in attackers), Counter())}


def opens(figures: Figures) -> str | None:
    """Another client's stream opens within a second."""
    slowest = figures.attacked[CLIENT_STREAM].p99
    return f"a stream takes {slowest:.0f} ms, more than 1,000" if slowest > 1000 else None


FAIR = Bound(ok=0.99, slower=250, threads=150, others=(opens,))

ATTACKS = (
    Attack("14", "200 idle bidirectional streams", by(idle, path=BIDI_STREAM, streams=200), FAIR),
    Attack("14", "200 idle client streams", by(idle, path=CLIENT_STREAM, streams=200), FAIR),
    Attack(
        "16",
        "1,000 `Check` in flight over 20 connections",
        by(calls, path=CHECK, connections=20, in_flight=50),
        FAIR,
    ),
    Attack(
        "17",
        "1,000 calls in flight on each of 4 connections",
        by(calls, path=UNARY, connections=4, in_flight=1000),
        FAIR,
    ),
)
