"""Which core what runs on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOWED = os.sched_getaffinity(0)
SERVER_CORE, LOAD_CORE = min(_ALLOWED), max(_ALLOWED)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes that are started in the context run on that core, all their threads included."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
