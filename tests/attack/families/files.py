"""Watched files that have become too long."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.attack.attack import Attack, Bound
from tests.attack.process import Report
from tests.attack.subject import CHART, Victim


@contextmanager
def long_tokens(victim: Victim, _seconds: float) -> Iterator[Report]:
    """A tokens file of 1 GB, none of which is on the disk."""
    os.truncate(victim.folder / "tokens", 1 << 30)
    yield {}


ATTACKS = (
    Attack(
        "12",
        "a tokens file of 1 GB",
        long_tokens,
        Bound(more=50),
        subject=CHART,
        against_bare=False,
        short=True,
    ),
)
