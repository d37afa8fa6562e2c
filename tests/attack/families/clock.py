"""A clock that jumps, by libfaketime (Debian's package `libfaketime`)."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attack.attack import Attack
from tests.attack.process import Report
from tests.attack.subject import Prepared, Victim

JUMPS = ("+1d", "-1d", "+0")  # how far from the true time the clock is, one after the other


def library() -> Path:
    """Where the library is, for programs with threads."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        pytest.skip("libfaketime is missing; install Debian's package faketime")
    return found


@contextmanager
def jumping(victim: Victim, seconds: float) -> Iterator[Report]:
    """Jumps at equal times. The server's monotonic clock goes on."""

    def jump() -> None:
        for each in JUMPS:
            (victim.folder / "clock").write_text(f"{each}\n")
            time.sleep(seconds / len(JUMPS))

    thread = threading.Thread(target=jump)
    thread.start()
    yield {}
    thread.join()


@contextmanager
def with_a_clock(folder: Path) -> Iterator[Prepared]:
    (folder / "clock").write_text("+0\n")
    yield Prepared(
        {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
            "FAKETIME_CACHE_DURATION": "1",  # seconds; reading it for each call takes a core
            "DONT_FAKE_MONOTONIC": "1",
        }
    )


ATTACKS = (
    Attack("", "a clock that jumps by days", jumping, against_bare=False, short=True, prepare=with_a_clock),
)
