"""Calls of which only the headers are sent."""

import time
from collections import Counter

from app.runtime.server_settings import ServerSettings
from app.runtime.transport import connection_streams
from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import Attacker
from tests.attack.honest import BIDI_STREAM, CHECK, CLIENT_STREAM, UNARY, WATCH
from tests.attack.process import Place, Report, by, together

# As many as a connection may have.
A_CONNECTION = connection_streams(ServerSettings())


def half_calls(at: Place, calls: dict[str, int]) -> Report:
    """Begins so many of each path, over as few connections as may be."""
    attackers: dict[str, list[Attacker]] = {path: [] for path in calls}
    for path, number in calls.items():
        for begun in range(0, number, A_CONNECTION):
            attackers[path].append(Attacker(at.target, token=at.token))
            attackers[path][-1].begin(path, min(A_CONNECTION, number - begun))
    time.sleep(at.seconds)
    return {path: _ending(some) for path, some in attackers.items()}


def _ending(attackers: list[Attacker]) -> Report:
    return {
        "codes": sum((one.ended for one in attackers), Counter()),
        "longest": max(one.longest for one in attackers),
        "left": sum(len(one.open) for one in attackers),
    }


def ended(figures: Figures) -> str | None:
    """Half calls that take one message end within six seconds, and each is answered with its code."""
    for path, ending in figures.report.items():
        if ending["left"] or ending["longest"] > 6:
            return (
                f"{ending['left']} half calls of {path} are open, the longest took {ending['longest']:.1f} s"
            )
        if not set(ending["codes"]) <= {"CANCELLED", "DEADLINE_EXCEEDED"}:
            return f"half calls of {path} ended with {ending['codes']}"
    return None


def _attack(number: str, title: str, **calls: int) -> Attack:
    paths = {"check": CHECK, "unary": UNARY, "watch": WATCH}
    given = {paths[name]: many for name, many in calls.items()}
    bound = Bound(others=(ended,), threads=8)
    return Attack(number, title, by(half_calls, calls=given), bound, seconds=10)


def _streams(title: str, path: str, most: int) -> Attack:
    """As many stay open as APP_MAX_STREAMS says, and a quarter of it that have threads."""

    def few(figures: Figures) -> str | None:
        left = figures.report[path]["left"]
        return f"{left} half streams are open, more than {most}" if left > most else None

    bound = Bound(others=(few,), threads=25 + 8)
    return Attack("", title, by(half_calls, calls={path: 1000}), bound)


EACH = Attack(
    "1 to 3",
    "1,000 half calls of each, for 30 s",
    together(*(by(half_calls, calls={path: 1000}) for path in (UNARY, CHECK, WATCH))),
    Bound(others=(ended,), threads=8),
    seconds=30,
)

ATTACKS = (
    _attack("1", "2 half `Check` calls", check=2),
    _attack("2", "32 half unary calls", unary=32),
    _attack("3", "1,000 half `Watch` calls", watch=1000),
    EACH,
    _streams("1,000 half client streams", CLIENT_STREAM, 100),
    _streams("1,000 half bidirectional streams", BIDI_STREAM, 125),
)
