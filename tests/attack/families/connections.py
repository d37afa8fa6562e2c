"""Connections that cost their client nothing."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import connections
from tests.attack.process import Place, Report, by
from tests.attack.subject import Prepared
from tests.support.network.http2 import PREFACE


def idle(at: Place, number: int, *, slow_preface: bool = False) -> Report:
    """Opens them and sends nothing; or the preface, a byte of it each second."""
    ends = time.monotonic() + at.seconds
    opened = connections(at.target, number)
    place = closed = 0
    while (remaining := ends - time.monotonic()) > 0:
        if slow_preface:
            for each in list(opened):
                try:
                    each.sendall(PREFACE[place : place + 1])
                except OSError:
                    opened.remove(each)
                    closed += 1
            place += 1
        time.sleep(min(1.0, remaining))
    return {"opened": len(opened), "closed": closed}


def few_descriptors(_folder: Path) -> AbstractContextManager[Prepared]:
    return nullcontext(Prepared(descriptors=256))


def idles(figures: Figures) -> str | None:
    """The server does not use a core to accept what it cannot."""
    return f"{figures.cores:.2f} cores are used, more than 0.35" if figures.cores > 0.35 else None


ATTACKS = (
    Attack(
        "10",
        "400 idle connections, and 256 descriptors",
        by(idle, number=400),
        Bound(watch=False, others=(idles,)),
        short=True,
        prepare=few_descriptors,
    ),
    Attack("", "1,000 idle connections", by(idle, number=1000), Bound(watch=False)),
    Attack("", "200 prefaces of a byte a second", by(idle, number=200, slow_preface=True), short=True),
)
